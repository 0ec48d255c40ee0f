package top

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

// rows are the figures that have a sparkline.
var rows = []struct {
	name   string
	format func(float64) string
	value  func(status.Point) float64
}{
	{"connections", short, func(p status.Point) float64 { return float64(p.Connections) }},
	{"users", short, func(p status.Point) float64 { return float64(p.Users) }},
	{"subscriptions", short, func(p status.Point) float64 { return float64(p.Subscriptions) }},
	{"opened", rate, func(p status.Point) float64 { return p.Opened }},
	{"closed", rate, func(p status.Point) float64 { return p.Ended }},
	{"rejected", rate, func(p status.Point) float64 { return p.Rejected }},
	{"commands", rate, func(p status.Point) float64 { return p.Commands }},
	{"broadcasts", rate, func(p status.Point) float64 { return p.Broadcasts }},
	{"deliveries", rate, func(p status.Point) float64 { return p.Deliveries }},
	{"broadcast, 95 %", milliseconds, func(p status.Point) float64 { return orNone(p.BroadcastTime) }},
	{"call to Rails, 95 %", milliseconds, func(p status.Point) float64 { return orNone(p.CallTime) }},
	{"calls waiting", short, func(p status.Point) float64 { return float64(p.Waiting) }},
	{"CPU", percent, func(p status.Point) float64 { return p.CPU }},
	{"memory", bytes, func(p status.Point) float64 { return float64(p.Memory) }},
}

// paint has the escape sequences for parts of a frame; its zero value has none, for output that is
// not a terminal.
type paint struct{ bold, soft, good, bad, end string }

var ansi = paint{"\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[1;31m", "\x1b[0m"}

// frame returns at most height lines of at most width columns. lost is why catenary does not answer
// any more, nil if it does.
func frame(s status.Status, points []status.Point, lost error, width, height int, p paint) []string {
	lines := head(s, lost, width, p)
	for _, row := range rows {
		label := fmt.Sprintf("%-20s%10s  ", row.name, row.format(row.value(s.Now)))
		line := sparkline(points, width-utf8.RuneCountInString(label), row.value)
		lines = append(lines, p.soft+label[:20]+p.end+cut(label[20:], width-20)+line)
	}
	lines = append(lines, "")
	left, right := counts(s, p), append(processes(s, p, width-leftWidth), streams(s, p, width-leftWidth)...)
	if width < 2*leftWidth {
		left, right = append(append(left, ""), right...), nil
	}
	for i := range max(len(left), len(right)) {
		var l, r string
		if i < len(left) {
			l = left[i]
		}
		if i < len(right) {
			r = right[i]
		}
		lines = append(lines, pad(l, leftWidth)+r)
	}
	return lines[:min(len(lines), height)]
}

func head(s status.Status, lost error, width int, p paint) []string {
	state, reason := p.good+"ready"+p.end, ""
	switch {
	case lost != nil:
		state, reason = p.bad+"no answer"+p.end, lost.Error()
	case s.Draining:
		state, reason = p.bad+"stopping"+p.end, s.NotReady
	case s.NotReady != "":
		state, reason = p.bad+"not ready"+p.end, s.NotReady
	}
	now := time.UnixMilli(s.Now.At)
	title := fmt.Sprintf(" %s  version %s  up %s  %s", status.Printable(s.Node), status.Printable(s.Version),
		age(now.Sub(time.UnixMilli(s.Started))), now.Format(time.TimeOnly))
	if s.Nodes.Known {
		title += fmt.Sprintf("  of %d nodes", len(s.Nodes.Others)+1)
	}
	if reason == "" && s.Gaps.Count > 0 {
		reason = fmt.Sprintf("broadcast gaps: %d, %.0f s  ", s.Gaps.Count, s.Gaps.Seconds)
	}
	if s.Queues.Browsers > 0 && s.NotReady == "" && lost == nil {
		reason += fmt.Sprintf("slow browsers: %d, %s queued", s.Queues.Browsers, bytes(float64(s.Queues.Bytes)))
	}
	reason = status.PrintableText(strings.ReplaceAll(reason, "\n", "; "))
	lines := []string{p.bold + "catenary" + p.end + cut(title, width-22) + "  " + state}
	lines = append(lines, wrapped(reason, width, maxWarningLines)...)
	for _, warning := range s.Warnings[:min(len(s.Warnings), maxWarnings)] {
		for _, line := range wrapped("! "+status.PrintableText(warning), width, maxWarningLines) {
			lines = append(lines, p.bad+line+p.end)
		}
	}
	return lines
}

// How many warnings are shown, on at most how many lines each, so that the rest fits on a screen.
const maxWarnings, maxWarningLines = 3, 2

// wrapped breaks a text between words into at most limit lines. The last one may be cut.
func wrapped(text string, width, limit int) (lines []string) {
	line := ""
	for i, word := range strings.Fields(text) {
		longer := line + " " + word
		if i == 0 {
			longer = word
		}
		if utf8.RuneCountInString(longer) <= width || len(lines) == limit-1 || line == "" {
			line = longer
			continue
		}
		lines, line = append(lines, cut(line, width)), "  "+word
	}
	return append(lines, cut(line, width))
}

// leftWidth is the width of the left half, in columns.
const leftWidth = 38

// counts has the calls to Rails, and why connections closed and handshakes failed.
func counts(s status.Status, p paint) []string {
	lines := []string{p.bold + fmt.Sprintf("%-10s%8s%6s%6s%6s", "calls", "/s", "ms", "95 %", "fail") + p.end}
	for _, c := range s.Calls {
		fail := fmt.Sprintf("%6d", c.Failed)
		if c.Failed > 0 {
			fail = p.bad + fail + p.end
		}
		lines = append(lines, fmt.Sprintf("%-10s%8s%6s%6s", cut(status.Printable(c.Text), 10), short(c.Pace),
			trimmed(orNone(c.Median)), trimmed(orNone(c.Slow)))+fail)
	}
	for _, list := range []struct {
		name   string
		counts []status.Count
	}{{"closed", s.Ends}, {"handshakes", s.Handshakes}} {
		if len(list.counts) == 0 {
			continue
		}
		lines = append(lines, p.bold+fmt.Sprintf("%-20s%8s%8s", list.name, "/min", "total")+p.end)
		for _, c := range list.counts {
			lines = append(lines, fmt.Sprintf("%-20s%8s%8s", cut(status.Printable(c.Text), 20),
				short(float64(c.Lately)), short(float64(c.All))))
		}
	}
	return lines
}

// maxProcesses is how many Rails processes are shown, so that streams fit on the screen.
const maxProcesses = 4

// processes has the names last, as streams does.
func processes(s status.Status, p paint, width int) []string {
	all := s.Rails.Processes
	title := fmt.Sprintf("process, of %d", len(all))
	switch {
	case s.Rails.Transport == "post":
		title = "Rails, by POST"
	case len(all) == 0:
		title = "Rails: no link"
	}
	lines := []string{p.bold + fmt.Sprintf("%7s%6s%9s  %s", "busy", "wait", "browsers", cut(title, width-24)) + p.end}
	for _, process := range all[:min(len(all), maxProcesses)] {
		busy := fmt.Sprintf("%d/%d", process.Busy, process.Workers)
		lines = append(lines, fmt.Sprintf("%7s%6s%9s  %s", cut(busy, 7), cut(short(float64(process.Waiting)), 6),
			short(float64(process.Connections)), cut(processName(process), width-24)))
	}
	return lines
}

func processName(process status.Process) string {
	name := status.Printable(process.ID)
	if process.PumaWorker != nil {
		name = fmt.Sprintf("worker %d %s", *process.PumaWorker, name)
	}
	if process.Stopping {
		name += " stopping"
	}
	return name
}

// streams has the names last: a terminal may show some characters in two columns.
func streams(s status.Status, p paint, width int) []string {
	title := fmt.Sprintf("%8s%8s  %s", "frames/s", "members", "stream, of "+short(float64(s.Streams.All)))
	lines := []string{p.bold + title + p.end}
	for _, stream := range s.Streams.Busiest {
		lines = append(lines, fmt.Sprintf("%8s%8s  %s", short(stream.Pace), short(float64(stream.Members)),
			cut(status.Printable(stream.Name), width-18)))
	}
	return lines
}

// cut shortens a text without colours to width characters.
func cut(text string, width int) string {
	if n := utf8.RuneCountInString(text); n <= width {
		return text
	}
	if width < 1 {
		return ""
	}
	return string([]rune(text)[:width-1]) + "…"
}

// pad fills a text with spaces up to width columns.
func pad(text string, width int) string {
	return text + strings.Repeat(" ", max(0, width-columns(text)))
}

// columns counts the characters of a text without its colours.
func columns(text string) (n int) {
	colour := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			colour = true
		case colour:
			colour = r != 'm'
		default:
			n++
		}
	}
	return n
}
