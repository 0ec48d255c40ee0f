package status

import (
	"strings"
	"testing"
)

func TestHistogram_ReturnsQuantilesSinceAnEarlierState(t *testing.T) {
	before := NewHistogram(map[float64]uint64{0.1: 100, 1: 100}, 100)
	now := before.Plus(NewHistogram(map[float64]uint64{0.1: 0, 1: 90}, 100))
	lately := now.since(before)
	for q, want := range map[float64]float64{0.45: 550, 0.9: 1000, 0.99: 1000} { // the last is longer than the last bound
		if got := lately.milliseconds(q); got == nil || *got < want-1 || *got > want+1 {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if got := now.since(now).milliseconds(0.5); got != nil {
		t.Errorf("of an empty histogram: %v", *got)
	}
	if got := now.since(Histogram{}).milliseconds(0.25); got == nil || *got < 49 || *got > 51 {
		t.Errorf("since the start: %v", got)
	}
	if got := (Histogram{}).Plus(before).milliseconds(1); got == nil || *got != 100 {
		t.Errorf("plus an empty histogram: %v", got)
	}
}

func TestPrintable_ReplacesControlCharacters(t *testing.T) {
	for text, want := range map[string]string{
		"room_1":                          "room_1",
		"größe 日本 🎉":                      "größe 日本 🎉",
		"a\x1b[2J\r\nb\u202e\u0085":       "a\ufffd[2J\ufffd\ufffdb\ufffd\ufffd",
		"\xff":                            "\ufffd",
		strings.Repeat("ä", nameLength+1): strings.Repeat("ä", nameLength) + "…",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestStreamName_ShowsRecords(t *testing.T) {
	for name, want := range map[string]string{
		"room:Z2lkOi8vYXBwL1Jvb20vMQ":               "room:gid://app/Room/1",
		"chats:foo_bar:Z2lkOi8vYXBwL1Jvb20vMQ==":    "chats:foo_bar:gid://app/Room/1",
		"Z2lkOi8vYXBwL1Jvb20vMQ:messages":           "gid://app/Room/1:messages",
		"Z2lkOi8vYXBwL1Jvb20vMQ:Z2lkOi8vYXBwL1gvMg": "gid://app/Room/1:gid://app/X/2",
		"room_1":         "room_1",
		"Z2lkOi8v!":      "Z2lkOi8v!",
		"Z2lkOi8v_____w": "Z2lkOi8v_____w", // not UTF-8
	} {
		if got := StreamName(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
