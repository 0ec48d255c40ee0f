package top

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

func crowded() (s status.Status, points []status.Point) {
	hostile := "\x1b[2J\x07\u202e" + strings.Repeat("a name that is very long ", 20)
	for i := range 600 {
		points = append(points, status.Point{At: int64(i) * 1000, Connections: i, Deliveries: float64(1000 * i)})
	}
	s = status.Status{Node: hostile, Version: "0.1.0", NotReady: "one\ntwo" + hostile, Now: points[599]}
	for range 20 {
		s.Calls = append(s.Calls, status.Call{Do: hostile, Text: hostile, Failed: 1234567})
		s.Ends = append(s.Ends, status.Count{Reason: hostile, Text: hostile, Lately: 5, All: 123456789})
		s.Warnings = append(s.Warnings, hostile)
		s.Rails.Processes = append(s.Rails.Processes, status.Process{ID: hostile, PumaWorker: new(int), Workers: 1 << 20, Busy: 1 << 20, Waiting: 1 << 30, Connections: 1 << 30, Stopping: true})
		s.Streams.Busiest = append(s.Streams.Busiest, status.Stream{Name: hostile, Members: 1 << 30, Pace: 1e9})
	}
	return s, points
}

func TestFrame_FitsTheTerminal(t *testing.T) {
	s, points := crowded()
	for _, size := range [][2]int{{80, 24}, {200, 60}, {60, 20}, {40, 10}, {30, 5}, {1, 1}} {
		for _, look := range []paint{{}, ansi} {
			for _, lost := range []error{nil, errors.New("it is gone")} {
				lines := frame(s, points, lost, size[0], size[1], look)
				if len(lines) > size[1] {
					t.Errorf("%d lines at %v", len(lines), size)
				}
				for _, line := range lines {
					if size[0] >= 60 && columns(line) > size[0] {
						t.Errorf("%d columns at %v: %q", columns(line), size, line)
					}
					for _, colour := range []string{ansi.bold, ansi.soft, ansi.good, ansi.bad, ansi.end} {
						line = strings.ReplaceAll(line, colour, "")
					}
					if strings.ContainsAny(line, "\x1b\x07\u202e\n") {
						t.Errorf("a name reaches the terminal as it is: %q", line)
					}
				}
			}
		}
	}
}

func TestFrame_ShowsWhatAnOperatorLooksFor(t *testing.T) {
	slow := 1234.5
	s := status.Status{
		Node: "n-1", Version: "0.1.0", Now: status.Point{At: time.Now().UnixMilli(), Connections: 12345, Deliveries: 2500, CallTime: &slow},
		Calls: []status.Call{{Do: "frames", Text: "commands", Pace: 3, Median: &slow}}, Ends: []status.Count{{Reason: "browser_lost", Text: "browser vanished", Lately: 7, All: 9}},
		Streams: status.Streams{All: 1, Busiest: []status.Stream{{Name: "room_1", Members: 21, Pace: 446}}},
	}
	s.Warnings = []string{"Calls go by POST"}
	worker := 1
	s.Rails = status.Rails{Transport: "link", Processes: []status.Process{
		{ID: "b-9c1e", PumaWorker: &worker, Workers: 4, Busy: 3, Waiting: 17, Connections: 321}, {ID: "b-77d0", Workers: 4, Stopping: true},
	}}
	text := strings.Join(frame(s, nil, nil, 80, 24, paint{}), "\n")
	for _, part := range []string{"    3/4    17      321  worker 1 b-9c1e", "b-77d0 stopping", "n-1", "ready", "12.3k", "2500/s", "1.23 s", "commands", "browser vanished", "! Calls go by POST", "room_1", "446"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing:\n%s", part, text)
		}
	}
}

func TestFrame_ShowsHowRailsIsReached(t *testing.T) {
	for transport, want := range map[string]string{"": "Rails: no link", "post": "Rails, by POST"} {
		s := status.Status{Rails: status.Rails{Transport: transport}}
		if text := strings.Join(frame(s, nil, nil, 80, 24, paint{}), "\n"); !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}

func TestSparkline_ShowsEveryPeak(t *testing.T) {
	var points []status.Point
	for i := range 100 {
		p := status.Point{At: int64(i) * 1000}
		if i == 42 {
			p.Opened = 8
		}
		points = append(points, p)
	}
	line := sparkline(points, 20, func(p status.Point) float64 { return p.Opened })
	if utf8.RuneCountInString(line) != 20 || strings.Count(line, "█") != 1 || strings.Count(line, "▁") != 19 {
		t.Errorf("%q", line)
	}
	if line = sparkline(points, 20, func(p status.Point) float64 { return orNone(p.CallTime) }); line != strings.Repeat(" ", 20) {
		t.Errorf("%q", line)
	}
}
