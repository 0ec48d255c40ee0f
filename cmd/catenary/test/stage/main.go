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

// Main runs the tests of a folder: its TestMain calls this and nothing else.
func Main(m *testing.M) {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		flag.Set("test.parallel", fmt.Sprint(testsAtOnce))
	}
	if signal.Ignored(syscall.SIGHUP) { // by nohup: what the tests start must not inherit that
		signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)
	}
	os.Exit(run(m))
}

// What runs at once. Tests mostly wait, so there are more of them than cores; but each has a Rails, which takes a core
// when it boots. The folders of one `go test ./...` know nothing of each other, and take turns (see takeTurn).
var (
	testsAtOnce     = 8 // of a folder
	foldersAtOnce   = max(2, runtime.NumCPU()/2)
	bootsAtOnce     = max(2, runtime.NumCPU()) // a Rails that boots takes a core, and with too many none is ready in time
	chromiumsAtOnce = max(2, runtime.NumCPU())
)

// buildFolder holds the binary that the tests run, for as long as they do.
var buildFolder string

func run(m *testing.M) int {
	defer takeTurn("folder", foldersAtOnce)()
	var err error
	if buildFolder, err = os.MkdirTemp("", "catenary"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildFolder)
	status := m.Run()
	if race := races.String(); race != "" {
		fmt.Fprintln(os.Stderr, "the race detector found this in a catenary that the tests ran:\n"+race)
		return 1
	}
	return status
}

// races collects what the race detector says in the processes that the tests start.
var races Output
