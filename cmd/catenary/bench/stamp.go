package bench

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// stamp is the text "MARK~SEQUENCE~NANOSECONDS~" in a message: which message of which round it is,
// and when it was sent or due. It has no character that JSON or HTML escapes, so it is found in a
// frame without decoding, however the app wraps the message.
type stamp struct {
	mark []byte // unique to a round, with its "~"
}

func newStamp() stamp { return stamp{mark: []byte(rand.Text()[:12] + "~")} }

// message puts a stamp into the template, padded so that the message has size bytes.
func (s stamp) message(template string, sequence int, sent time.Duration, size int) string {
	text := fmt.Sprintf("%s%d~%d~", s.mark, sequence, sent)
	padding := size - len(template) + len("{payload}") - len(text)
	return strings.ReplaceAll(template, "{payload}", text+strings.Repeat(".", max(padding, 0)))
}

// find reads the stamp in a frame. ok is false if it has none of this round.
func (s stamp) find(frame []byte) (sequence int, sent time.Duration, ok bool) {
	at := bytes.Index(frame, s.mark)
	if at < 0 {
		return 0, 0, false
	}
	first, rest, _ := bytes.Cut(frame[at+len(s.mark):], []byte("~"))
	second, _, found := bytes.Cut(rest, []byte("~"))
	sequence, sequenceErr := strconv.Atoi(string(first))
	nanoseconds, timeErr := strconv.ParseInt(string(second), 10, 64)
	return sequence, time.Duration(nanoseconds), found && sequenceErr == nil && timeErr == nil
}
