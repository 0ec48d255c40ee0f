package child

import (
	"bytes"
	"io"
)

// withoutAddress drops the line in which Puma prints the address that only catenary should use.
// Puma writes that line in one piece.
type withoutAddress struct {
	address string
	to      io.Writer
}

func (w *withoutAddress) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p))
	for line := range bytes.Lines(p) {
		if !bytes.Contains(line, []byte("Listening on")) || !bytes.Contains(line, []byte(w.address)) {
			shown = append(shown, line...)
		}
	}
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}
