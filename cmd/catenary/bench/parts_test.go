package bench

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestStamp_IsFoundInAnyFrame(t *testing.T) {
	s := newStamp()
	message := s.message(`{"body":"{payload}"}`, 42, 1500, 200)
	if len(message) != 200 {
		t.Errorf("the message has %d bytes, not 200", len(message))
	}
	for _, frame := range []string{`{"identifier":"{}","message":` + message + `}`, `<p>` + message + `</p>`} {
		sequence, sent, ok := s.find([]byte(frame))
		if sequence != 42 || sent != 1500 || !ok {
			t.Errorf("found %v %v %v in %s", sequence, sent, ok, frame)
		}
	}
	for _, frame := range []string{`{"type":"ping"}`, newStamp().message(`{payload}`, 1, 1, 10), string(s.mark) + "x~1~", string(s.mark) + "1~1"} {
		if _, _, ok := s.find([]byte(frame)); ok {
			t.Errorf("found a stamp in %s", frame)
		}
	}
}

func TestHistogram_IsExactToItsResolution(t *testing.T) {
	var h histogram
	var all []time.Duration
	for range 20_000 {
		d := time.Duration(rand.ExpFloat64() * float64(time.Millisecond))
		h.add(d)
		all = append(all, d)
	}
	slices.Sort(all)
	for _, p := range []float64{0, .01, .5, .95, .99, .999} {
		exact := all[int(p*float64(len(all)))]
		if got := h.percentile(p); got < exact || float64(got) > float64(exact)*1.016+1 {
			t.Errorf("the percentile %v is %v, not %v", p, got, exact)
		}
	}
	if h.percentile(1) != all[len(all)-1] || h.max() != all[len(all)-1] {
		t.Errorf("the longest is %v, not %v", h.max(), all[len(all)-1])
	}
	if new(histogram).percentile(.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}

func TestReceipt_CountsDuplicatesAndReordered(t *testing.T) {
	r := newReceipt(&round{messages: 100})
	for _, sequence := range []int{0, 1, 70, 3, 70, 1, 99} {
		r.note(sequence)
	}
	if r.duplicates != 2 || r.reordered != 1 {
		t.Errorf("got %+v", r)
	}
}

func TestRound_OwesEachGroupItsMembers(t *testing.T) {
	r := &round{clients: 12, groups: 5}
	var members []int
	for group := range r.groups {
		members = append(members, r.members(group))
	}
	if want := []int{3, 3, 2, 2, 2}; !slices.Equal(members, want) {
		t.Errorf("got %v", members)
	}
}

func TestProcess_MeasuresCPUAndMemory(t *testing.T) {
	p := process{"test", os.Getpid()}
	before, own := p.cpu(), ownCPU()
	for ownCPU()-own < 100*time.Millisecond { // work
	}
	if spent := p.cpu() - before; spent < 80*time.Millisecond || spent > 5*time.Second {
		t.Errorf("100 ms of work cost %v", spent)
	}
	if kb := p.memory(); kb < 1000 {
		t.Errorf("the memory is %v KB", kb)
	}
}

func TestProgress_PrintsPlainLinesWithoutATerminal(t *testing.T) {
	var output bytes.Buffer
	NewProgress(&output).during("opening", 3, func() int { return 0 }, func() error { return nil })
	if output.String() != "opening\n" {
		t.Errorf("got %q", output.String())
	}
}

func TestProgress_DrawsABarOnATerminal(t *testing.T) {
	var output bytes.Buffer
	(&Progress{to: &output, terminal: true}).during("opening", 4, func() int { return 2 }, func() error {
		time.Sleep(150 * time.Millisecond)
		return nil
	})
	if !bytes.Contains(output.Bytes(), []byte("opening ███████████████░░░░░░░░░░░░░░░ 2 of 4")) {
		t.Errorf("got %q", output.String())
	}
}

func TestPlot_ShowsHowTimesAreSpread(t *testing.T) {
	var h histogram
	for range 3 {
		h.add(1500 * time.Microsecond)
	}
	h.add(7 * time.Millisecond)
	var out strings.Builder
	report := &Report{Results: []Result{{Scenario: "echo", Spread: h.bins()}, {Scenario: "idle"}}}
	if err := report.WritePlots(&out); err != nil {
		t.Fatal(err)
	}
	want := "\necho, latency\n" +
		"      1ms – 2ms    " + strings.Repeat("█", 40) + "   75.0 %\n" +
		"      2ms – 5ms    " + strings.Repeat(" ", 40) + "    0.0 %\n" +
		"      5ms – 10ms   " + strings.Repeat("█", 13) + strings.Repeat(" ", 27) + "   25.0 %\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
