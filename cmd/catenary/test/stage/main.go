package stage

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Main runs the tests of a folder. The folder's TestMain calls only this.
func Main(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	if !set {
		flag.Set("test.parallel", fmt.Sprint(testsAtOnce))
	}
	if signal.Ignored(syscall.SIGHUP) { // by nohup; programs that the tests start must not inherit it
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(run(m))
}

// How much runs at once. Tests mostly wait, so more of them run than there are cores; but each
// boots a Rails, which takes a core. The test processes of one `go test ./...` take turns (see
// takeTurn).
var (
	testsAtOnce     = 8 // of a folder
	foldersAtOnce   = max(2, runtime.NumCPU()/2)
	bootsAtOnce     = max(2, runtime.NumCPU()) // with more, no Rails boots in time
	chromiumsAtOnce = max(3, runtime.NumCPU()) // a page mostly waits
)

// buildFolder holds the binary under test while the tests run.
var buildFolder string

func run(m *testing.M) int {
	release := takeTurn("folder", foldersAtOnce)
	defer release()
	var err error
	if buildFolder, err = os.MkdirTemp("", "catenary"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildFolder)
	status := m.Run()
	closeSharedWorlds()
	if race := races.String(); race != "" {
		fmt.Fprintln(os.Stderr, "the race detector reported for a catenary under test:\n"+race)
		return 1
	}
	return status
}

// races collects the race detector's reports from the processes that the tests start.
var races Output

// takeTurn waits until fewer than limit turns of a kind are taken by this user's test processes on
// this machine. A turn that is not released ends with the process. To avoid deadlocks, turns are
// taken in one order: a folder's, Chromium's, a booting Rails', the compiler's.
func takeTurn(kind string, limit int) (release func()) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		for n := range limit {
			file, err := os.OpenFile(filepath.Join(sharedFolder(), fmt.Sprintf("%s-%d", kind, n)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				panic(err)
			}
			if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				return func() { file.Close() }
			}
			file.Close()
		}
	}
}

// sharedFolder returns the folder through which this user's test processes coordinate.
func sharedFolder() string {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("catenary-tests-%d", os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		panic(err)
	}
	return folder
}

// Variables that begin with CATENARY_ configure catenary, which rejects unknown ones. Those in the
// environment of `go test` are not meant for the catenary under test, so no program that the tests
// start inherits them. Settings of the tests themselves (CATENARY_TEST_PATIENCE) are package
// variables, which Go initializes before init runs.
func init() { unsetConfiguration() }

func unsetConfiguration() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CATENARY_") {
			os.Unsetenv(name)
		}
	}
}
