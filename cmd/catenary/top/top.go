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

// Options are what to show, and where.
type Options struct {
	URL   string // of the operations listener
	In    io.Reader
	Out   io.Writer
	Plain bool // no colours
}

// Once prints one frame.
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
			fmt.Fprintln(o.Out, strings.TrimRight(strings.Join(frame(s, append(points, s.Now), nil, width, height, look), "\n"), "\n "))
		}
		cancel()
	})
	if shown {
		return nil
	}
	return err
}

// Run shows a frame a second until a key or ctx ends it.
func Run(ctx context.Context, o Options) error {
	in, inOK := o.In.(*os.File)
	out, outOK := o.Out.(*os.File)
	if !inOK || !outOK || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return errors.New("this is no terminal: catenary top --once prints what there is to see now")
	}
	v := &view{out: out, paint: ansi}
	if o.Plain {
		v.paint = paint{}
	}
	feed := newFeed(o.URL)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer v.giveBack()
	for {
		err := feed.follow(ctx, v.begin, func(s status.Status) {
			if v.take(in, cancel); v.screen != nil {
				v.next(s)
			}
		})
		switch {
		case ctx.Err() != nil:
			return v.err
		case v.screen == nil: // it has never answered
			return err
		}
		v.lose(err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
	}
}

// view is what has been heard, and the screen that shows it once there is
// something.
type view struct {
	out    *os.File
	paint  paint
	screen *screen
	err    error // why there can be none
	points []status.Point
	last   status.Status
}

const kept = 600 // points

func (v *view) take(in *os.File, quit func()) {
	if v.screen != nil {
		return
	}
	if v.screen, v.err = takeScreen(in, v.out); v.err != nil {
		quit()
		return
	}
	go func() { v.screen.untilQuit(); quit() }()
}

func (v *view) giveBack() {
	if v.screen != nil {
		v.screen.giveBack()
	}
}

func (v *view) begin(points []status.Point) { v.points = points }

func (v *view) next(s status.Status) {
	v.points = append(v.points, s.Now)
	v.points = v.points[max(0, len(v.points)-kept):]
	v.last = s
	v.draw(nil)
}

func (v *view) lose(err error) { v.draw(err) }

func (v *view) draw(lost error) {
	width, height := size(v.out)
	v.screen.draw(frame(v.last, v.points, lost, width, height, v.paint))
}
