package doctor

import (
	"fmt"
	"io"
	"strings"
)

// Verdict is how a step came out.
type Verdict string

const (
	Good    Verdict = "ok"
	Doubt   Verdict = "look" // it works, or may, and is not as usual
	Bad     Verdict = "FAIL"
	Skipped Verdict = "-" // it needs a step that has failed
)

// Finding is one step's outcome. Text holds no secret.
type Finding struct {
	Step    string
	Verdict Verdict
	Text    string // what was found and, if it is not Good, what to do
}

// Write prints a finding as it comes.
func (f Finding) Write(to io.Writer) error {
	text := strings.ReplaceAll(f.Text, "\n", "\n"+strings.Repeat(" ", 20))
	_, err := fmt.Fprintf(to, "%-5s %-13s %s\n", f.Verdict, f.Step, text)
	return err
}
