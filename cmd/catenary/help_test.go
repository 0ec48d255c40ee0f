package main

import (
	"strings"
	"testing"
)

// outputOf runs the program and returns what it has written.
func outputOf(t *testing.T, arguments ...string) (output string, err error) {
	t.Helper()
	var out strings.Builder
	err = run(t.Context(), arguments, nil, &out, &out)
	return out.String(), err
}

func TestCommands_AreSuggestedWhenMisspelt(t *testing.T) {
	for name, meant := range map[string]string{"doktor": `did you mean "doctor"?`, "tpo": `did you mean "top"?`, "disconect": `did you mean "disconnect"?`, "bin/rails": "write -- before"} {
		if _, err := outputOf(t, name); err == nil || !strings.Contains(err.Error(), meant) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFlags_AreSuggestedWhenMisspelt(t *testing.T) {
	for _, c := range [][]string{{"--lisen", "--listen"}, {"--backend-uri", "--backend-url"}, {"doctor", "--cokie", "--cookie"}, {"--nothing-of-the-kind", "catenary --help"}, {"--backend-patience", "--backend-patience is now --backend-queue-timeout"}} {
		last := len(c) - 1
		if _, err := outputOf(t, append(c[:last:last], "x")...); err == nil || !strings.Contains(err.Error(), c[last]) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestHelp_IsGrouped(t *testing.T) {
	output, err := outputOf(t, "--help")
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, part := range []string{"When something is wrong:", "doctor", "While it runs:", "disconnect", "top", "Before it runs:", "audit", "\nBrowsers:\n", "--listen", "\nCalls to Rails:\n", "--backend-url", "\nLimits:\n"} {
		at := strings.Index(output[last:], part)
		if at < 0 {
			t.Fatalf("%q is missing or out of order:\n%s", part, output)
		}
		last += at
	}
	output, err = outputOf(t, "doctor", "--help")
	if err != nil || !strings.Contains(output, "--cookie") || !strings.Contains(output, "see catenary --help") || strings.Contains(output, "--limits-memory") {
		t.Errorf("%v\n%s", err, output)
	}
}

func TestVersion_IsACommandToo(t *testing.T) {
	for _, argument := range []string{"version", "--version"} {
		if output, err := outputOf(t, argument); err != nil || !strings.Contains(output, "catenary ") || !strings.Contains(output, version) {
			t.Errorf("%s: %s, %v", argument, output, err)
		}
	}
}
