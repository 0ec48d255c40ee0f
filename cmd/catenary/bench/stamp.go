package bench

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A stamp is the text "MARK~SEQUENCE~NANOSECONDS~" inside of a message: which
// message of which round, and when it was sent, or was due to be. It has no
// character that JSON or HTML escapes, so it is found in a frame without
// decoding it, however the app wraps it.
type stamp struct {
	mark []byte // of one round, with its "~"
}

func newStamp() stamp { return stamp{mark: []byte(rand.Text()[:12] + "~")} }

// message fills the template with a stamp, and pads it to size bytes.
func (s stamp) message(template string, sequence int, sent time.Duration, size int) string {
	text := fmt.Sprintf("%s%d~%d~", s.mark, sequence, sent)
	padding := size - len(template) + len("{payload}") - len(text)
	return strings.ReplaceAll(template, "{payload}", text+strings.Repeat(".", max(padding, 0)))
}

// find reads the stamp of a frame. ok is false if there is none of this round.
func (s stamp) find(frame []byte) (sequence int, sent time.Duration, ok bool) {
	at := bytes.Index(frame, s.mark)
	if at < 0 {
		return 0, 0, false
	}
	first, rest, _ := bytes.Cut(frame[at+len(s.mark):], []byte("~"))
	second, _, found := bytes.Cut(rest, []byte("~"))
	sequence, err := strconv.Atoi(string(first))
	nanoseconds, err2 := strconv.ParseInt(string(second), 10, 64)
	return sequence, time.Duration(nanoseconds), found && err == nil && err2 == nil
}
