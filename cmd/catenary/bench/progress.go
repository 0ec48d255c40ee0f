package bench

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// Progress shows what the bench is doing: with a progress bar on a terminal, else with a line for
// each step.
type Progress struct {
	to       io.Writer
	terminal bool
}

// NewProgress returns a Progress that writes to a stream, usually standard error.
func NewProgress(to io.Writer) *Progress {
	file, ok := to.(*os.File)
	return &Progress{to: to, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

// during shows count of total while work runs.
func (p *Progress) during(title string, total int, count func() int, work func() error) error {
	if !p.terminal {
		fmt.Fprintf(p.to, "%s\n", title)
		return work()
	}
	done := make(chan struct{})
	var drawing sync.WaitGroup
	drawing.Go(func() {
		for ; ; p.draw(title, count(), total) {
			select {
			case <-time.After(100 * time.Millisecond):
			case <-done:
				fmt.Fprint(p.to, "\r\x1b[K")
				return
			}
		}
	})
	err := work()
	close(done)
	drawing.Wait()
	return err
}

func (p *Progress) draw(title string, count, total int) {
	const width = 30
	filled := min(width*count/max(total, 1), width)
	bar := strings.Repeat("█", filled) + strings.Repeat("░", width-filled)
	fmt.Fprintf(p.to, "\r\x1b[K%s %s %d of %d", title, bar, count, total)
}

// elapsed counts tenths of a second, for steps that only wait.
func elapsed() func() int {
	began := time.Now()
	return func() int { return int(time.Since(began) / (100 * time.Millisecond)) }
}
