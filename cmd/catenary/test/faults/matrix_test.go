package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var faultParts = []struct {
	name   string
	faults []*fault
}{{"Redis", redisFaults}, {"Rails", railsFaults}, {"Link", linkFaults}, {"Browser", browserFaults}, {"Load", loadFaults}}

// The faults are played concurrently. The test prints which passed. FAULTS=all plays the slow ones
// too.
func TestFaults_LoseNothingButWhatTheTableAllows(t *testing.T) {
	t.Parallel()
	silenceRedis()
	everything := os.Getenv("FAULTS") == "all"
	shared, err := stage.StartApp("lab", true, "REDIS_URL=redis://"+stage.FreeAddress(), "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.Close)
	slots := make(chan struct{}, 8) // each fault starts processes of its own
	played := &matrix{failures: map[*fault][len(columns)]error{}}
	t.Run("play", func(t *testing.T) {
		for p, part := range faultParts {
			for i, f := range part.faults {
				if f.long && !everything {
					continue
				}
				t.Run(part.name+" "+f.name, func(t *testing.T) {
					t.Parallel()
					slots <- struct{}{}
					defer func() { <-slots }()
					s := &rig{T: t, app: shared, stream: fmt.Sprintf("faults-%d-%d", p, i), accepted: map[int]bool{}}
					failures := f.play(t, s)
					played.record(f, failures)
					for i, err := range failures {
						if err != nil {
							t.Errorf("%s: %v", columns[i].name, err)
						}
					}
					if t.Failed() {
						t.Logf("the end of catenary's output:\n%s", s.catenary.Process.Output.Tail())
					}
				})
			}
		}
	})
	passed, failed := 0, 0
	for _, failures := range played.failures {
		if failures == [len(columns)]error{} {
			passed++
		} else {
			failed++
		}
	}
	fmt.Print(played.table(func(f *fault) bool { _, was := played.failures[f]; return was }))
	fmt.Printf("faults: %d passed, %d failed\n", passed, failed)
}

// A matrix holds the results of the faults that were played.
type matrix struct {
	mu       sync.Mutex
	failures map[*fault][len(columns)]error
}

func (m *matrix) record(f *fault, failures [len(columns)]error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures[f] = failures
}

// table returns a table in Markdown. Without any results it has what is expected.
func (m *matrix) table(shown func(*fault) bool) string {
	var b strings.Builder
	b.WriteString("| | fault |")
	for _, column := range columns {
		fmt.Fprintf(&b, " %s |", column.name)
	}
	b.WriteString("\n|" + strings.Repeat(" --- |", len(columns)+2) + "\n")
	for _, part := range faultParts {
		for _, f := range part.faults {
			if !shown(f) {
				continue
			}
			fmt.Fprintf(&b, "| %s | %s |", part.name, f.name)
			for i, column := range columns {
				cell := column.expected(f)
				if m.failures[f][i] != nil {
					cell = "FAILED"
				}
				fmt.Fprintf(&b, " %s |", cell)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestFaults_TableIsInTheDocs(t *testing.T) {
	want := (&matrix{}).table(func(*fault) bool { return true })
	_, rest, _ := strings.Cut(stage.ReadDoc(t, "faults.md"), "<!-- faults -->\n")
	if got, _, _ := strings.Cut(rest, "<!-- /faults -->"); got != want {
		t.Errorf("the table of docs/faults.md should be\n%s", want)
	}
}
