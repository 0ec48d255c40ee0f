package stage

import (
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A FaultyProxy stands between two of the parts, and does what networks do. Set it before or while connections go
// through it.
type FaultyProxy struct {
	Address  string
	listener *net.TCPListener

	mu      sync.Mutex
	target  string
	links   map[*link]bool
	lost    Direction
	Latency time.Duration // before a piece is passed on
	Piece   int           // bytes of a TCP segment at most; 0: as they come
	Rate    int           // bytes a second, each way; 0: as they come
	Answer  string        // instead of the target's, to each request
	Twice   bool          // each request comes to the target a second time, over a connection of its own
}

// A Direction is seen from who dials.
type Direction int

const (
	There Direction = 1 << iota
	Back
)

// A link is one connection: near is who has dialled.
type link struct {
	near, far *net.TCPConn
	asked     []byte   // since far last answered
	again     net.Conn // where it is said a second time
}

// StartProxy starts a proxy in front of an address.
func StartProxy(t *testing.T, target string) *FaultyProxy {
	t.Helper()
	config := net.ListenConfig{}
	config.SetMultipathTCP(false) // it takes no filter
	listener, err := config.Listen(t.Context(), "tcp", FreeAddress())
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultyProxy{Address: listener.Addr().String(), listener: listener.(*net.TCPListener), target: target, links: map[*link]bool{}}
	go p.accept()
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
	})
	return p
}

func (p *FaultyProxy) accept() {
	for {
		near, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		go p.connect(near)
	}
}

func (p *FaultyProxy) connect(near *net.TCPConn) {
	p.mu.Lock()
	target, answer := p.target, p.Answer
	p.mu.Unlock()
	if answer != "" {
		defer near.Close()
		near.SetDeadline(time.Now().Add(5 * time.Second))
		if n, _ := near.Read(make([]byte, 1<<16)); n > 0 {
			io.WriteString(near, answer)
			near.CloseWrite()
			io.Copy(io.Discard, near)
		}
		return
	}
	far, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err != nil {
		near.SetLinger(0) // as if it were the target that refuses
		near.Close()
		return
	}
	l := &link{near: near, far: far.(*net.TCPConn)}
	p.mu.Lock()
	p.links[l] = true
	l.lose(p.lost)
	p.mu.Unlock()
	var passing sync.WaitGroup
	passing.Go(func() { p.pass(l.far, l.near, l.ask) })
	passing.Go(func() { p.pass(l.near, l.far, l.askAgain) })
	passing.Wait()
	if l.again != nil {
		l.again.Close()
	}
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
	l.near.Close()
	l.far.Close()
}

// ask remembers what has been asked.
func (l *link) ask(p *FaultyProxy, piece []byte) {
	if p.Twice {
		l.asked = append(l.asked, piece...)
	}
}

// askAgain repeats a request whose answer has begun. Nobody reads the second answer.
func (l *link) askAgain(p *FaultyProxy, _ []byte) {
	if len(l.asked) == 0 {
		return
	}
	if l.again == nil {
		again, err := net.DialTimeout("tcp", p.target, 5*time.Second)
		if err != nil {
			return
		}
		l.again = again
		go io.Copy(io.Discard, again)
	}
	l.again.Write(l.asked)
	l.asked = nil
}

// pass copies until the end, which it passes on too. see is shown each piece; p.mu is held.
func (p *FaultyProxy) pass(to, from *net.TCPConn, see func(*FaultyProxy, []byte)) {
	defer to.CloseWrite()
	buffer := make([]byte, 32<<10)
	for {
		p.mu.Lock()
		piece, rate, latency := p.Piece, p.Rate, p.Latency
		p.mu.Unlock()
		if rate > 0 {
			piece = max(rate/20, 1)
		}
		if piece == 0 {
			piece = len(buffer)
		}
		n, err := from.Read(buffer[:min(piece, len(buffer))])
		if n > 0 {
			time.Sleep(latency)
			if rate > 0 {
				time.Sleep(time.Second / 20)
			}
			p.mu.Lock()
			see(p, buffer[:n])
			p.mu.Unlock()
			if _, err := to.Write(buffer[:n]); err != nil {
				from.Close()
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// Set changes how the proxy passes things on.
func (p *FaultyProxy) Set(change func(*FaultyProxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Cut ends all connections with a reset.
func (p *FaultyProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.near.SetLinger(0)
		l.far.SetLinger(0)
		l.near.Close()
		l.far.Close()
	}
}

// Lose makes every packet of these directions vanish before TCP sees it: nobody acknowledges, and nobody says that the
// connection is gone. Where both are lost new connections are not answered either. 0 ends it.
func (p *FaultyProxy) Lose(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = d
	drop(p.listener, d == There|Back)
	for l := range p.links {
		l.lose(d)
	}
}

func (l *link) lose(d Direction) {
	drop(l.near, d&There != 0)
	drop(l.far, d&Back != 0)
}

// drop has the kernel drop what comes in for a socket, or stop doing so.
func drop(socket syscall.Conn, on bool) {
	raw, err := socket.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		if !on {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
			return
		}
		nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
		unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing})
	})
}
