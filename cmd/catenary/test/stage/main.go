package stage

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
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
	foldersAtOnce   = max(3, runtime.NumCPU()/2)
	bootsAtOnce     = max(2, runtime.NumCPU()) // with more, no Rails boots in time
	chromiumsAtOnce = max(2, runtime.NumCPU())
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
	if race := races.String(); race != "" {
		fmt.Fprintln(os.Stderr, "the race detector reported for a catenary under test:\n"+race)
		return 1
	}
	return status
}

// races collects the race detector's reports from the processes that the tests start.
var races Output
