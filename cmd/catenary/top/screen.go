package top

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// screen is a terminal in raw mode, on the alternate screen.
type screen struct {
	in, out *os.File
	before  *term.State
}

// openScreen switches to the alternate screen, without cursor and line wrapping. Keys arrive one by
// one.
func openScreen(in, out *os.File) (*screen, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("setting up the terminal: %w", err)
	}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l\x1b[?7l")
	return &screen{in, out, before}, nil
}

// close restores the terminal.
func (s *screen) close() {
	fmt.Fprint(s.out, "\x1b[?7h\x1b[?25h\x1b[?1049l")
	term.Restore(int(s.in.Fd()), s.before)
}

func (s *screen) draw(lines []string) {
	fmt.Fprint(s.out, "\x1b[H"+strings.Join(lines, "\x1b[K\r\n")+"\x1b[K\x1b[J")
}

// size returns the current size of the terminal, 80 by 24 if it is unknown.
func size(out *os.File) (width, height int) {
	if width, height, err := term.GetSize(int(out.Fd())); err == nil && width > 0 && height > 0 {
		return width, height
	}
	return 80, 24
}

// waitForQuit reads keys until q, Ctrl-C or Ctrl-D.
func (s *screen) waitForQuit() {
	key := make([]byte, 1)
	for {
		n, err := s.in.Read(key)
		if err != nil || n == 1 && strings.ContainsRune("qQ\x03\x04", rune(key[0])) {
			return
		}
	}
}
