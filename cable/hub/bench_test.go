package hub

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// streamWith returns a stream with n browsers that discard what they get.
func streamWith(b *testing.B, n, identifiers int) *stream {
	return streamOf(b, n, func(i int) string {
		return fmt.Sprintf(`{"channel":"RoomChannel","id":%d}`, i%identifiers)
	})
}

// streamOf is streamWith with a function that returns the i-th browser's identifier.
func streamOf(b *testing.B, n int, identifier func(i int) string) *stream {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	all, err := socket.NewSockets(socket.Options{Limits: socket.Limits{PendingBytes: 1 << 20, Unanswered: time.Minute}})
	if err != nil {
		b.Fatal(err)
	}
	startReaders(b, listener.Addr().String(), n)
	s := &stream{name: "room", live: true}
	for i := range n {
		conn, err := listener.Accept()
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { conn.Close() })
		to := &socket.Socket{}
		to.Init(all, nil)
		to.Attach(conn)
		to.Uncork()
		s.add(identifier(i), &Member{Socket: to})
	}
	listener.Close()
	return s
}

// readersAt is a variable with an address: the test binary then only connects to it and reads, because
// one process may not have enough descriptors for both ends.
const readersAt = "HUB_BENCHMARK_READERS_AT"

// startReaders starts n browsers in a process of their own.
func startReaders(b *testing.B, address string, n int) {
	readers := exec.Command(os.Args[0])
	readers.Env = append(os.Environ(), readersAt+"="+address)
	readers.Stdin = strings.NewReader(fmt.Sprint(n))
	readers.Stderr = os.Stderr
	if err := readers.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { readers.Wait() })
}

// readAt opens as many connections as standard input says, and discards what it reads until all
// connections are closed.
func readAt(address string) {
	var n int
	fmt.Scan(&n)
	var reading sync.WaitGroup
	for range n {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		reading.Go(func() {
			io.Copy(io.Discard, conn)
			conn.Close()
		})
	}
	reading.Wait()
}

// One broadcast to many browsers: one system call each, and little else.
func BenchmarkDeliver(b *testing.B) {
	payload := []byte(`{"author":"ada","body":"the wire hangs over the rails","at":"2026-11-23T20:00:00.000Z"}`)
	for _, c := range []struct{ browsers, identifiers, batch int }{{100, 1, 1}, {1000, 1, 1}, {1000, 1, 16}, {1000, 1000, 1}} {
		b.Run(fmt.Sprintf("browsers=%d/identifiers=%d/batch=%d", c.browsers, c.identifiers, c.batch), func(b *testing.B) {
			s := streamWith(b, c.browsers, c.identifiers)
			b.ReportAllocs()
			for b.Loop() {
				for range c.batch {
					s.batch = append(s.batch, payload)
				}
				s.deliver(0, nil)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.browsers*c.batch), "ns/delivery")
		})
	}
}

// A broadcast to Turbo pages with stamps (docs/catch-up.md): each browser needs a frame of its own.
func BenchmarkDeliver_Stamped(b *testing.B) {
	payload := protocol.Quote(`<turbo-stream action="append" target="messages"><template>` +
		strings.Repeat(`<p class="message">the wire hangs over the rails</p>`, 10) + `</template></turbo-stream>`)
	const name = `"signed_stream_name":"IloybGtPaTh2WVhCd0wxSnZiMjB2TVEi--20c695f4ef539db0aa40b62f363f2e05b893063a1b13299c8fb086c49759ac23"`
	for _, browsers := range []int{1_000, 10_000} {
		for _, stamped := range []bool{false, true} {
			b.Run(fmt.Sprintf("browsers=%d/stamped=%t", browsers, stamped), func(b *testing.B) {
				s := streamOf(b, browsers, func(i int) string {
					if stamped {
						return fmt.Sprintf(`{"channel":"Turbo::StreamsChannel",%s,"catenary_stamp":"tp65dc.%011d.R8yhXHwxlLQhMaG2"}`, name, i)
					}
					return `{"channel":"Turbo::StreamsChannel",` + name + `}`
				})
				b.ReportAllocs()
				before := processorTime(b)
				for b.Loop() {
					s.batch = append(s.batch, payload)
					s.deliver(0, nil)
				}
				used := processorTime(b) - before
				b.ReportMetric(float64(used.Nanoseconds())/float64(b.N*browsers), "cpu-ns/delivery")
			})
		}
	}
}

// processorTime returns the CPU time of the process, the kernel's work included.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// A broadcast from its arrival to the last write, without
// the kernel's work: the sockets are closed.
func BenchmarkHub(b *testing.B) {
	payload := []byte(`{"author":"ada","body":"the wire hangs over the rails","at":"2026-11-23T20:00:00.000Z"}`)
	for _, browsers := range []int{1, 100} {
		b.Run(fmt.Sprintf("browsers=%d", browsers), func(b *testing.B) {
			h := New(idle{}, slog.New(slog.DiscardHandler))
			to := closedSocket(b)
			for range browsers {
				h.Join("room", "a", &Member{Socket: to})
			}
			shard, ended := h.shard("room"), make(chan struct{})
			go func() { shard.run(h.dropped); close(ended) }()
			b.ReportAllocs()
			for b.Loop() {
				h.deliver("room", payload)
			}
			shard.stop()
			<-ended
		})
	}
}

func BenchmarkPing(b *testing.B) {
	s := streamWith(b, 1000, 1)
	turns := socket.Turns{Lock: &s.mu}
	s.mu.Lock()
	defer s.mu.Unlock()
	b.ReportAllocs()
	for b.Loop() {
		s.groups[0].Write(socket.Text(protocol.Ping(1795451915)), &turns)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/ping")
}

// Joining and leaving costs the same however many streams there are.
func BenchmarkJoinAndLeave(b *testing.B) {
	for _, streams := range []int{1, 10_000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			h := New(idle{}, slog.New(slog.DiscardHandler))
			to := &socket.Socket{}
			for i := range streams {
				h.Join(fmt.Sprint("room", i), "a", &Member{Socket: to})
			}
			b.ReportAllocs()
			for b.Loop() {
				m := &Member{Socket: to}
				h.Join("another", "a", m)
				h.Leave(m)
			}
		})
	}
}

// A member that joins does not wait until a large stream is delivered.
func BenchmarkJoinBesideDelivery(b *testing.B) {
	payload := []byte(`{"body":"the wire hangs over the rails"}`)
	h := New(idle{}, slog.New(slog.DiscardHandler))
	s := streamWith(b, 2000, 1)
	h.shard("room").streams["room"] = s
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				s.batch = append(s.batch, payload)
				s.deliver(0, nil)
			}
		}
	}()
	to := closedSocket(b)
	longest := time.Duration(0)
	for b.Loop() {
		began := time.Now()
		m := &Member{Socket: to}
		h.Join("room", "a", m)
		h.Leave(m)
		longest = max(longest, time.Since(began))
	}
	b.ReportMetric(float64(longest)/float64(time.Millisecond), "ms-longest")
	close(stop)
	<-ended
}

// The status page calls it once a second while it is open.
func BenchmarkStreamsByTraffic(b *testing.B) {
	h := New(idle{}, slog.New(slog.DiscardHandler))
	for i := range 100_000 {
		h.Join(fmt.Sprint("stream ", i), "x", &Member{Socket: &socket.Socket{}, Subscriber: ignoring{}})
	}
	for b.Loop() {
		h.StreamsByTraffic(10)
	}
}
