package child

import (
	"bytes"
	"io"
	"regexp"
	"sync/atomic"
)

// output drops the line in which Puma prints the address that only catenary should use, and notes
// another one. Puma writes such a line in one piece.
type output struct {
	address   string
	to        io.Writer
	elsewhere atomic.Pointer[string] // the first other address; nil: none
}

var listening = regexp.MustCompile(`\* Listening on (?:http|ssl)://(\S*:(\d+))`)

func (o *output) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p))
	for line := range bytes.Lines(p) {
		if !o.note(line) {
			shown = append(shown, line...)
		}
	}
	if _, err := o.to.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}

// note reports whether a line contains the address, and keeps another one.
func (o *output) note(line []byte) bool {
	match := listening.FindSubmatch(line)
	switch {
	case match == nil:
	case string(match[1]) == o.address:
		return true
	default:
		address := string(match[1])
		o.elsewhere.CompareAndSwap(nil, &address)
	}
	return false
}
