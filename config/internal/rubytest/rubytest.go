// Package rubytest runs Ruby scripts for the tests that compare with Rails.
package rubytest

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Run runs a script in Ruby with Rails' libraries and returns its standard output.
func Run(t *testing.T, script, stdin string, env []string) []byte {
	t.Helper()
	if exec.Command("ruby", "-e", `require "active_support/all"`).Run() != nil {
		t.Fatal("Ruby with Rails' libraries is missing: run script/install rails")
	}
	command := exec.CommandContext(t.Context(), "ruby", "-e", script)
	command.Stdin, command.Stderr, command.Env = strings.NewReader(stdin), os.Stderr, env
	out, err := command.Output()
	if err != nil {
		t.Fatalf("ruby: %v", err)
	}
	return out
}
