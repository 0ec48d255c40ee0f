package stage

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// Main runs the tests of a folder: its TestMain calls this and nothing else.
func Main(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "48") // these tests mostly wait
	os.Exit(run(m))
}

// buildFolder holds the binary that the tests run, for as long as they do.
var buildFolder string

func run(m *testing.M) int {
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
