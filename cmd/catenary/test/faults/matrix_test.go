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

// TestFaults plays the faults, several at once, and prints what held. FAULTS=all plays the long ones too, as `make faults` does.
func TestFaults(t *testing.T) {
	t.Parallel()
	silenceRedis()
	everything := os.Getenv("FAULTS") == "all"
	shared, err := stage.StartApp("lab", true, "REDIS_URL=redis://"+stage.FreeAddress(), "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shared.Close)
	slots := make(chan struct{}, 8) // each has processes of its own
	played := &matrix{fell: map[*fault][len(columns)]error{}}
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
					s := &rig{T: t, app: shared, stream: fmt.Sprintf("faults-%d-%d", p, i), reached: map[int]bool{}}
					fell := f.play(t, s)
					played.note(f, fell)
					for i, err := range fell {
						if err != nil {
							t.Errorf("%s: %v", columns[i].name, err)
						}
					}
					if t.Failed() {
						t.Logf("catenary wrote at last:\n%s", s.catenary.Process.Output.Tail())
					}
				})
			}
		}
	})
	held, fallen := 0, 0
	for _, fell := range played.fell {
		if fell == [len(columns)]error{} {
			held++
		} else {
			fallen++
		}
	}
	fmt.Print(played.table(func(f *fault) bool { _, was := played.fell[f]; return was }))
	fmt.Printf("faults: %d held, %d fell\n", held, fallen)
}

// A matrix is what became of the faults that were played.
type matrix struct {
	mu   sync.Mutex
	fell map[*fault][len(columns)]error
}

func (m *matrix) note(f *fault, fell [len(columns)]error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fell[f] = fell
}

// table is in Markdown. Without anything played it says what must hold.
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
				cell := column.must(f)
				if m.fell[f][i] != nil {
					cell = "FELL"
				}
				fmt.Fprintf(&b, " %s |", cell)
			}
			b.WriteString("\n")
		}
	}
	return b.String()
}

func TestFaults_AreThoseThatAreDocumented(t *testing.T) {
	want := (&matrix{}).table(func(*fault) bool { return true })
	_, rest, _ := strings.Cut(stage.ReadDoc(t, "faults.md"), "<!-- faults -->\n")
	if got, _, _ := strings.Cut(rest, "<!-- /faults -->"); got != want {
		t.Errorf("the table of docs/faults.md should be\n%s", want)
	}
}
