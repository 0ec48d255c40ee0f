package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"golang.org/x/term"
)

// Options say what to show, and where.
type Options struct {
	URL   string // of the operations listener
	In    io.Reader
	Out   io.Writer
	Plain bool // no colours
}

// Once prints one frame and returns.
func Once(ctx context.Context, o Options) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	width, height := 80, 1000
	look := paint{}
	if out, ok := o.Out.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
		width, _ = size(out)
		if !o.Plain {
			look = ansi
		}
	}
	var points []status.Point
	shown := false
	err := newFeed(o.URL).follow(ctx, func(p []status.Point) { points = p }, func(s status.Status) {
		if !shown {
			shown = true
			lines := frame(s, append(points, s.Now), nil, width, height, look)
			fmt.Fprintln(o.Out, strings.TrimRight(strings.Join(lines, "\n"), "\n "))
		}
		cancel()
	})
	if shown {
		return nil
	}
	return err
}

// Run shows a frame each second until the user quits or ctx is done. In and Out must be a terminal.
func Run(ctx context.Context, o Options) error {
	in, inOK := o.In.(*os.File)
	out, outOK := o.Out.(*os.File)
	if !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return errors.New("stdout is not a terminal: use catenary top --once to print once and exit")
	}
	v := &view{out: out, paint: ansi}
	if o.Plain {
		v.paint = paint{}
	}
	feed := newFeed(o.URL)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer v.close()
	for {
		err := feed.follow(ctx, v.begin, func(s status.Status) {
			v.open(in, cancel)
			if v.screen != nil {
				v.show(s)
			}
		})
		switch {
		case ctx.Err() != nil:
			return v.err
		case v.screen == nil: // catenary has never answered
			return err
		}
		v.draw(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// view holds the events received so far. It takes over the terminal only with the first status, so
// that an error before that is printed as usual.
type view struct {
	out    *os.File
	paint  paint
	screen *screen // nil before the first status
	err    error   // from opening the screen
	points []status.Point
	last   status.Status
}

const maxPoints = 600 // ten minutes

func (v *view) open(in *os.File, quit func()) {
	if v.screen != nil {
		return
	}
	v.screen, v.err = openScreen(in, v.out)
	if v.err != nil {
		quit()
		return
	}
	go func() { v.screen.waitForQuit(); quit() }()
}

func (v *view) close() {
	if v.screen != nil {
		v.screen.close()
	}
}

func (v *view) begin(points []status.Point) { v.points = points }

func (v *view) show(s status.Status) {
	v.points = append(v.points, s.Now)
	v.points = v.points[max(0, len(v.points)-maxPoints):]
	v.last = s
	v.draw(nil)
}

func (v *view) draw(lost error) {
	width, height := size(v.out)
	v.screen.draw(frame(v.last, v.points, lost, width, height, v.paint))
}
