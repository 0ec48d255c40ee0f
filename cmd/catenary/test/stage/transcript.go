package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A Transcript is one conversation between browsers, the server, Redis and the application.
// testdata/transcripts/README.md describes the file format.
type Transcript struct {
	Name    string // group/case
	Cases   []int  // named in its comments
	World   string // a key of Worlds
	Needs   Condition
	Only    string   // "catenary" if Rails cannot do this
	Without string   // "post" or "identified": the server that cannot play it
	Differs []string // keys of docs/differences.md
	Steps   []Step
}

// A Step is one line of a transcript with its indented continuation lines.
type Step struct {
	Line    int
	Speaker string // browser, server, rails, catenary, redis, app, operator
	name    string // which browser, "" for the only one
	when    Condition
	After   time.Duration // earliest time since its browser's handshake
	order   byte          // '~' in any order with its neighbours, '?' optional, or 0
	from    int           // if to is set, the line is repeated for <n> = from … to
	to      int
	Text    string
	More    []string // continuation lines
}

// A Condition compares the version of Rails. The zero value always holds.
type Condition struct {
	Operator string
	Version  float64
}

// Holds reports whether the condition holds for a version.
func (c Condition) Holds(rails string) bool {
	version, _ := strconv.ParseFloat(rails, 64)
	switch c.Operator {
	case ">=":
		return version >= c.Version
	case "<":
		return version < c.Version
	}
	return true
}

var (
	stepLine      = regexp.MustCompile(`^(?:(\d+)\.\.(\d+) )?(browser|server|rails|catenary|redis|app|operator)(?: ([a-z]\w*))?(?: \(([^)]*)\))?([~?])?>(?: +(.*))?$`)
	conditionText = regexp.MustCompile(`^rails (>=|<) (\d+\.\d+)$`)
	caseNumbers   = regexp.MustCompile(`\bcases? (\d+(?:, \d+)*)`)
	Number        = regexp.MustCompile(`\d+`)
)

// ReadTranscripts reads all transcripts of a folder.
func ReadTranscripts(t *testing.T, root string) []Transcript {
	files, err := filepath.Glob(filepath.Join(root, "*", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s", root)
	}
	var all []Transcript
	for _, file := range files {
		name, _ := filepath.Rel(root, strings.TrimSuffix(file, ".txt"))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		one, err := ParseTranscript(name, string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, one)
	}
	return all
}

// ParseTranscript parses the text of one transcript.
func ParseTranscript(name, text string) (Transcript, error) {
	tr := Transcript{Name: name}
	for i, line := range strings.Split(text, "\n") {
		if err := tr.add(i+1, line); err != nil {
			return tr, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return tr, nil
}

func (tr *Transcript) add(number int, line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case strings.HasPrefix(line, "#"):
		tr.addCases(line)
		return nil
	case strings.HasPrefix(line, "  "):
		if len(tr.Steps) == 0 {
			return fmt.Errorf("a continuation line before any step: %q", line)
		}
		last := &tr.Steps[len(tr.Steps)-1]
		last.More = append(last.More, strings.TrimSpace(line))
		return nil
	case len(tr.Steps) == 0 && !stepLine.MatchString(line):
		return tr.addSetting(line)
	}
	s, err := parseStep(line)
	s.Line = number
	tr.Steps = append(tr.Steps, s)
	return err
}

func (tr *Transcript) addCases(comment string) {
	for _, list := range caseNumbers.FindAllStringSubmatch(comment, -1) {
		for _, digits := range Number.FindAllString(list[1], -1) {
			n, _ := strconv.Atoi(digits)
			tr.Cases = append(tr.Cases, n)
		}
	}
}

func (tr *Transcript) addSetting(line string) (err error) {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "world":
		tr.World = value
	case "needs":
		tr.Needs, err = parseCondition(value)
	case "only":
		tr.Only = value
	case "without":
		tr.Without = value
	case "differs":
		tr.Differs = append(tr.Differs, strings.Split(value, ", ")...)
	default:
		err = fmt.Errorf("neither a step nor a setting: %q", line)
	}
	return err
}

func parseStep(line string) (Step, error) {
	m := stepLine.FindStringSubmatch(line)
	if m == nil {
		return Step{}, fmt.Errorf("not a step: %q", line)
	}
	s := Step{Speaker: m[3], name: m[4], Text: m[7]}
	s.from, _ = strconv.Atoi(m[1])
	s.to, _ = strconv.Atoi(m[2])
	if m[6] != "" {
		s.order = m[6][0]
	}
	for _, note := range strings.Split(m[5], ", ") {
		if err := s.annotate(note); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (s *Step) annotate(note string) (err error) {
	word, value, _ := strings.Cut(note, " ")
	switch word {
	case "":
	case "after":
		s.After, err = time.ParseDuration(value)
	default:
		s.when, err = parseCondition(note)
	}
	return err
}

func parseCondition(text string) (Condition, error) {
	m := conditionText.FindStringSubmatch(text)
	if m == nil {
		return Condition{}, fmt.Errorf("not a condition: %q", text)
	}
	version, err := strconv.ParseFloat(m[2], 64)
	return Condition{m[1], version}, err
}

// PlayedBy reports whether a server can play the transcript.
func (tr Transcript) PlayedBy(server string) bool {
	switch server {
	case "rails":
		return tr.Only == ""
	case "identified":
		return tr.Without != server && tr.Identifiable()
	case "verified":
		return strings.HasPrefix(tr.Name, "turbo/")
	}
	return tr.Without != server
}

// Identifiable reports whether a server that does not run connect and disconnect can play the
// transcript: it must not ask for behaviour of connect or look at the callbacks that have run.
func (tr Transcript) Identifiable() bool {
	if tr.World != "" && os.Getenv("SERVER") == "" {
		return false // booting another application takes long
	}
	return !slices.ContainsFunc(tr.Steps, func(s Step) bool {
		asksConnect := s.Speaker == "browser" && connectOption.MatchString(s.Text)
		comparesCallbacks := s.Speaker == "app" && strings.Contains(s.Text, " of user ") && !strings.HasPrefix(s.Text, "channels ")
		return asksConnect || comparesCallbacks
	})
}

// connectOption matches a handshake that asks for behaviour of connect.
var connectOption = regexp.MustCompile(`^GET .*\b(mode|tenant|sleep)=`)

// StepsFor returns the steps for a server and a version of Rails, with repeated lines written out.
func (tr Transcript) StepsFor(server, rails string) []Step {
	if server != "rails" {
		server = "catenary"
	}
	var steps []Step
	for _, s := range tr.Steps {
		other := (s.Speaker == "rails" || s.Speaker == "catenary") && s.Speaker != server
		if other || !s.when.Holds(rails) {
			continue
		}
		if s.Speaker == server {
			s.Speaker = "server"
		}
		if s.to == 0 {
			steps = append(steps, s)
			continue
		}
		for n := s.from; n <= s.to; n++ {
			repeated := s
			repeated.Text = strings.ReplaceAll(s.Text, "<n>", strconv.Itoa(n))
			steps = append(steps, repeated)
		}
	}
	return steps
}
