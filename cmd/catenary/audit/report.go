package audit

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// JSON writes the report for machines.
func (r *Report) JSON(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// Text writes the report for people: a table, then what there is to say of
// each line, then the summary.
func (r *Report) Text(w io.Writer) error {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "CHANNEL\tRUNS\tBECAUSE OF")
	for _, s := range append(append([]Subject{}, r.Channels...), r.Connections...) {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, s.runs(), strings.Join(s.reasons(), ", "))
	}
	table.Flush()
	for _, s := range append(append([]Subject{}, r.Channels...), r.Connections...) {
		details(&b, s.Name, s.Findings, s.Unseen)
	}
	details(&b, "Elsewhere in the application", r.Application, nil)
	if len(r.Notes) > 0 {
		fmt.Fprintln(&b, "\nNot understood")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(&b, "  %s:%d  %s\n", n.File, n.Line, n.Text)
	}
	fmt.Fprintf(&b, "\n%s\n", r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

func details(b *strings.Builder, name string, findings []Finding, unseen []string) {
	if len(findings)+len(unseen) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", name)
	for i, f := range findings {
		fmt.Fprintf(b, "  %s:%d  %s\n", f.File, f.Line, f.Code)
		if i+1 == len(findings) || findings[i+1].Means != f.Means || findings[i+1].Advice != f.Advice {
			fmt.Fprintf(b, "    %s\n    -> %s\n", f.Means, f.Advice)
		}
	}
	if len(unseen) > 0 {
		fmt.Fprintf(b, "  from libraries, not read: %s\n", strings.Join(unseen, ", "))
	}
}

// reasons are the rules that made it run as it does.
func (s Subject) reasons() []string {
	var names []string
	seen := map[string]bool{}
	for _, f := range s.Findings {
		if f.Runs == s.Runs && f.Runs > Plain && !seen[f.Rule] {
			seen[f.Rule] = true
			names = append(names, f.Rule)
		}
	}
	return names
}

// Summary is the line that says it all.
func (r *Report) Summary() string {
	parts := []string{count(len(r.Channels), "channel", "channels"), fmt.Sprintf("%d plain", r.Counts[Plain.String()])}
	for _, p := range []struct {
		runs      Runs
		one, many string
	}{
		{Timers, "with timers", "with timers"}, {Live, "with state that cannot move", "with state that cannot move"}, {Pinned, "pinned", "pinned"},
		{PassThrough, "needs pass-through", "need pass-through"}, {Never, "cannot work", "cannot work"},
	} {
		if n := r.Counts[p.runs.String()]; n > 0 {
			parts = append(parts, count(n, p.one, p.many))
		}
	}
	if n := r.Counts[passedWord]; n > 0 {
		parts = append(parts, fmt.Sprintf("%d %s", n, passedWord))
	}
	elsewhere := 0
	for _, f := range r.Application {
		if f.Runs == Never {
			elsewhere++
		}
	}
	for _, s := range r.Connections {
		if s.Runs >= PassThrough && !s.Passed {
			elsewhere++
		}
	}
	if elsewhere > 0 {
		parts = append(parts, count(elsewhere, "thing elsewhere cannot work", "things elsewhere cannot work"))
	}
	return "audit: " + strings.Join(parts, ", ")
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
