package stage

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
)

// A CallCounter is a proxy between catenary and Rails. It counts calls, and the browsers' commands
// in them, over links and in POST requests.
type CallCounter struct {
	mu    sync.Mutex
	all   int            // calls about connections
	calls map[string]int // by command
}

// CountCalls returns a counter in front of an app, and the app as seen through it.
func CountCalls(t *testing.T, a *App) (*CallCounter, *App) {
	c := &CallCounter{calls: map[string]int{}}
	listener, err := net.Listen("tcp", FreeAddress())
	if err != nil {
		t.Fatal(err)
	}
	var passing sync.WaitGroup
	passing.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", a.Address)
			if err != nil {
				near.Close()
				continue
			}
			t.Cleanup(func() { near.Close(); far.Close() })
			passing.Go(func() { io.Copy(near, far); near.Close() })
			passing.Go(func() { c.pass(far, near); far.Close() })
		}
	})
	t.Cleanup(passing.Wait)
	t.Cleanup(func() { listener.Close() })
	return c, &App{Address: listener.Addr().String()}
}

// pass copies requests and the frames of a link, and counts their calls.
func (c *CallCounter) pass(to io.Writer, from io.Reader) {
	reader := bufio.NewReader(io.TeeReader(from, to))
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if request.Header.Get("Upgrade") == "catenary" {
			c.readFrames(reader)
			return
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		var post struct{ Calls []countedCall }
		json.Unmarshal(body, &post)
		c.add(post.Calls...)
	}
}

func (c *CallCounter) readFrames(reader io.Reader) {
	for {
		var head [4]byte
		if _, err := io.ReadFull(reader, head[:]); err != nil {
			return
		}
		text := make([]byte, binary.BigEndian.Uint32(head[:]))
		if _, err := io.ReadFull(reader, text); err != nil {
			return
		}
		var call countedCall
		if json.Unmarshal(text, &call) == nil && call.Do != "" {
			c.add(call)
		}
	}
}

// A countedCall has the fields of a call that the counter reads.
type countedCall struct {
	Do     string
	Frames []string
}

func (c *CallCounter) add(calls ...countedCall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all += len(calls)
	for _, call := range calls {
		for _, frame := range call.Frames {
			var command struct{ Command string }
			json.Unmarshal([]byte(frame), &command)
			c.calls[command.Command]++
		}
	}
}

// Total returns the number of calls so far.
func (c *CallCounter) Total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// Count returns how often browsers' commands of this name went to Rails.
func (c *CallCounter) Count(command string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[command]
}
