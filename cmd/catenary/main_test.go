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
	return m.Run()
}
