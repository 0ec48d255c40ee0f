package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Verdict is the result of a step.
type Verdict string

const (
	Good    Verdict = "ok"
	Doubt   Verdict = "look" // it works, or may work, but is unusual
	Bad     Verdict = "FAIL"
	Skipped Verdict = "-" // it needs a step that has failed
)

// Finding is the result of one step. Text has no secret in it.
type Finding struct {
	Step    string
	Verdict Verdict
	Text    string // what was found and, unless it is Good, what to do
}

// Write prints a finding.
func (f Finding) Write(to io.Writer) error {
	text := strings.ReplaceAll(f.Text, "\n", "\n"+strings.Repeat(" ", 20))
	_, err := fmt.Fprintf(to, "%-5s %-13s %s\n", f.Verdict, f.Step, text)
	return err
}
