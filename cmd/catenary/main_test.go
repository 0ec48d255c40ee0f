package main

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// buildFolder holds the binary that the stories run, for as long as the tests do.
var buildFolder string

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "48") // these tests mostly wait
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	var err error
	if buildFolder, err = os.MkdirTemp("", "catenary"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildFolder)
	status := m.Run()
	if race := races.String(); race != "" {
		fmt.Fprintln(os.Stderr, "a catenary that the tests have run found this:\n"+race)
		return 1
	}
	return status
}

// races are what the race detector has said in the processes that the tests have started, whose end no test may see.
var races output
