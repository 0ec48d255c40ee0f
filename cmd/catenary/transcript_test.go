package main

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

// A transcript is one conversation between browsers, the server, Redis and the application. Its file format is
// described in testdata/transcripts/README.md.
type transcript struct {
	name    string // group/case
	cases   []int  // named in its comments
	world   string // the kind of application and Redis it needs
	needs   condition
	only    string   // "catenary" if Rails cannot do this
	differs []string // keys of docs/differences.md
	steps   []step
}

// A step is one line of a transcript with its indented continuation lines.
type step struct {
	line    int
	speaker string // browser, server, rails, catenary, redis, app, operator, wait
	name    string // which browser, "" for the only one
	when    condition
	after   time.Duration // not before
	within  time.Duration // not later than
	order   byte          // '~' in any order with its neighbours, '?' may be left out, 0
	from    int           // the line is repeated for <n> = from … to
	to      int
	text    string
	more    []string // continuation lines
}

// A condition compares the version of Rails; the zero value always holds.
type condition struct {
	operator string
	version  float64
}

func (c condition) holds(rails string) bool {
	version, _ := strconv.ParseFloat(rails, 64)
	switch c.operator {
	case ">=":
		return version >= c.version
	case "<":
		return version < c.version
	}
	return true
}

var (
	stepLine      = regexp.MustCompile(`^(?:(\d+)\.\.(\d+) )?(browser|server|rails|catenary|redis|app|operator)(?: ([a-z]\w*))?(?: \(([^)]*)\))?([~?])?>(?: +(.*))?$`)
	waitLine      = regexp.MustCompile(`^\(wait (\S+)\)$`)
	conditionText = regexp.MustCompile(`^rails (>=|<) (\d+\.\d+)$`)
	caseNumbers   = regexp.MustCompile(`\bcases? (\d+(?:, \d+)*)`)
	number        = regexp.MustCompile(`\d+`)
)

func readTranscripts(t *testing.T, root string) []transcript {
	files, err := filepath.Glob(filepath.Join(root, "*", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts in %s", root)
	}
	var all []transcript
	for _, file := range files {
		name, _ := filepath.Rel(root, strings.TrimSuffix(file, ".txt"))
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		one, err := parseTranscript(name, string(text))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, one)
	}
	return all
}

func parseTranscript(name, text string) (transcript, error) {
	tr := transcript{name: name}
	for i, line := range strings.Split(text, "\n") {
		if err := tr.add(i+1, line); err != nil {
			return tr, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return tr, nil
}

func (tr *transcript) add(number int, line string) error {
	switch {
	case strings.TrimSpace(line) == "":
		return nil
	case strings.HasPrefix(line, "#"):
		tr.addCases(line)
		return nil
	case strings.HasPrefix(line, "  "):
		if len(tr.steps) == 0 {
			return fmt.Errorf("a continuation of nothing: %q", line)
		}
		last := &tr.steps[len(tr.steps)-1]
		last.more = append(last.more, strings.TrimSpace(line))
		return nil
	case len(tr.steps) == 0 && !stepLine.MatchString(line):
		return tr.addSetting(line)
	}
	s, err := parseStep(line)
	s.line = number
	tr.steps = append(tr.steps, s)
	return err
}

func (tr *transcript) addCases(comment string) {
	for _, list := range caseNumbers.FindAllStringSubmatch(comment, -1) {
		for _, digits := range number.FindAllString(list[1], -1) {
			n, _ := strconv.Atoi(digits)
			tr.cases = append(tr.cases, n)
		}
	}
}

func (tr *transcript) addSetting(line string) (err error) {
	key, value, _ := strings.Cut(line, ": ")
	switch key {
	case "world":
		tr.world = value
	case "needs":
		tr.needs, err = parseCondition(value)
	case "only":
		tr.only = value
	case "differs":
		tr.differs = append(tr.differs, strings.Split(value, ", ")...)
	default:
		err = fmt.Errorf("not a step and not a setting: %q", line)
	}
	return err
}

func parseStep(line string) (step, error) {
	if m := waitLine.FindStringSubmatch(line); m != nil {
		pause, err := time.ParseDuration(m[1])
		return step{speaker: "wait", after: pause}, err
	}
	m := stepLine.FindStringSubmatch(line)
	if m == nil {
		return step{}, fmt.Errorf("not a step: %q", line)
	}
	s := step{speaker: m[3], name: m[4], text: m[7]}
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

func (s *step) annotate(note string) (err error) {
	word, value, _ := strings.Cut(note, " ")
	switch word {
	case "":
	case "after":
		s.after, err = time.ParseDuration(value)
	case "within":
		s.within, err = time.ParseDuration(value)
	default:
		s.when, err = parseCondition(note)
	}
	return err
}

func parseCondition(text string) (condition, error) {
	m := conditionText.FindStringSubmatch(text)
	if m == nil {
		return condition{}, fmt.Errorf("not a condition: %q", text)
	}
	version, err := strconv.ParseFloat(m[2], 64)
	return condition{m[1], version}, err
}

// identifiable tells whether it can be played where connect and disconnect do not run: it neither asks for something of
// them nor looks at the callbacks that have run.
func (tr transcript) identifiable() bool {
	if tr.world != "" && os.Getenv("SERVER") == "" {
		return false // another application for it takes long
	}
	return !slices.ContainsFunc(tr.steps, func(s step) bool {
		return s.speaker == "browser" && regexp.MustCompile(`^GET .*\b(mode|tenant|sleep)=`).MatchString(s.text) || s.speaker == "app" && strings.Contains(s.text, " of user ")
	})
}

// stepsFor are the steps that hold for a server with an application on this Rails.
func (tr transcript) stepsFor(server, rails string) []step {
	if server != "rails" {
		server = "catenary"
	}
	var steps []step
	for _, s := range tr.steps {
		other := (s.speaker == "rails" || s.speaker == "catenary") && s.speaker != server
		if other || !s.when.holds(rails) {
			continue
		}
		if s.speaker == server {
			s.speaker = "server"
		}
		if s.to == 0 {
			steps = append(steps, s)
			continue
		}
		for n := s.from; n <= s.to; n++ {
			repeated := s
			repeated.text = strings.ReplaceAll(s.text, "<n>", strconv.Itoa(n))
			steps = append(steps, repeated)
		}
	}
	return steps
}
