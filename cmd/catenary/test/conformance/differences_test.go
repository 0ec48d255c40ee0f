package conformance

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// lastCase is the highest case number in transcripts and clients.
const lastCase = 160

// differences is the content of docs/differences.md.
type differences struct {
	onPurpose []string     // headings, which transcripts name in "differs:"
	notRun    map[int]bool // case numbers
}

func readDifferences(t *testing.T) differences {
	text, err := os.ReadFile(stage.ProjectRoot + "/docs/differences.md")
	if err != nil {
		t.Fatal(err)
	}
	onPurpose, notRun, found := strings.Cut(string(text), "\n## Cases that are not run\n")
	if !found {
		t.Fatal(`docs/differences.md has no section "Cases that are not run"`)
	}
	d := differences{notRun: map[int]bool{}}
	for _, heading := range regexp.MustCompile(`(?m)^### (\S+)$`).FindAllStringSubmatch(onPurpose, -1) {
		d.onPurpose = append(d.onPurpose, heading[1])
	}
	for _, item := range regexp.MustCompile(`(?m)^- case (\d+): .+$`).FindAllStringSubmatch(notRun, -1) {
		n, _ := strconv.Atoi(item[1])
		d.notRun[n] = true
	}
	return d
}

// mustMatch checks that docs/differences.md and the transcripts list the same differences and
// cases.
func (d differences) mustMatch(t *testing.T, transcripts []stage.Transcript) {
	declared, run := map[string]bool{}, map[int]bool{}
	for _, tr := range transcripts {
		if tr.Only != "" && len(tr.Differs) == 0 {
			t.Errorf("%s: only for %s without a reason: add \"differs: …\"", tr.Name, tr.Only)
		}
		for _, s := range tr.Steps {
			if (s.Speaker == "rails" || s.Speaker == "catenary") && len(tr.Differs) == 0 {
				t.Errorf("%s, line %d: a difference without a reason: add \"differs: …\"", tr.Name, s.Line)
			}
		}
		for _, key := range tr.Differs {
			declared[key] = true
		}
		for _, n := range tr.Cases {
			run[n] = true
		}
	}
	for _, n := range clientCases(t) {
		run[n] = true
	}
	want, got := slices.Sorted(maps.Keys(declared)), slices.Sorted(slices.Values(d.onPurpose))
	if !slices.Equal(want, got) {
		t.Errorf("transcripts declare the differences\n%v\ndocs/differences.md has\n%v", want, got)
	}
	for n := 1; n <= lastCase; n++ {
		if run[n] == d.notRun[n] {
			t.Errorf("case %d: a test runs it: %v; docs/differences.md says that none does: %v", n, run[n], d.notRun[n])
		}
	}
}

// clientCases returns the cases that the npm clients play.
func clientCases(t *testing.T) (cases []int) {
	files, _ := filepath.Glob(stage.ProjectRoot + "/testdata/clients/*.mjs")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			if strings.HasPrefix(line, "// case") {
				for _, digits := range stage.Number.FindAllString(line, -1) {
					n, _ := strconv.Atoi(digits)
					cases = append(cases, n)
				}
			}
		}
	}
	return cases
}
