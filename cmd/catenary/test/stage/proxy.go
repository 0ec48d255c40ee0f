package stage

import (
	"io"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A FaultyProxy forwards TCP connections and imitates network faults. Change its settings with Set
// at any time.
type FaultyProxy struct {
	Address  string
	listener *net.TCPListener

	mu      sync.Mutex
	target  string
	conns   map[*proxiedConn]bool
	lost    Direction
	Latency time.Duration // delay before each piece
	Piece   int           // maximum bytes in a piece; 0: as they come
	Rate    int           // bytes a second, each way; 0: unlimited
	Answer  string        // sent to the client in place of the target's answers
	Repeat  bool          // send each request to the target again, over a second connection
}

// A Direction is the direction of packets as seen by the client, which dials.
type Direction int

const (
	ToTarget Direction = 1 << iota
	ToClient
)

// A proxiedConn is one connection through the proxy.
type proxiedConn struct {
	client, target *net.TCPConn
	request        []byte   // bytes from the client since the target's last answer
	second         net.Conn // where requests are repeated
}

// StartProxy starts a proxy in front of the address target.
func StartProxy(t *testing.T, target string) *FaultyProxy {
	t.Helper()
	config := net.ListenConfig{}
	config.SetMultipathTCP(false) // MPTCP sockets accept no filter
	listener, err := config.Listen(t.Context(), "tcp", FreeAddress())
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultyProxy{Address: listener.Addr().String(), listener: listener.(*net.TCPListener), target: target, conns: map[*proxiedConn]bool{}}
	go p.accept()
	t.Cleanup(func() {
		listener.Close()
		p.Cut()
	})
	return p
}

func (p *FaultyProxy) accept() {
	for {
		client, err := p.listener.AcceptTCP()
		if err != nil {
			return
		}
		go p.connect(client)
	}
}

func (p *FaultyProxy) connect(client *net.TCPConn) {
	p.mu.Lock()
	address, answer := p.target, p.Answer
	p.mu.Unlock()
	if answer != "" {
		defer client.Close()
		client.SetDeadline(time.Now().Add(5 * time.Second))
		if n, _ := client.Read(make([]byte, 1<<16)); n > 0 {
			io.WriteString(client, answer)
			client.CloseWrite()
			io.Copy(io.Discard, client)
		}
		return
	}
	target, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		client.SetLinger(0) // reset, as if the target refused the connection
		client.Close()
		return
	}
	c := &proxiedConn{client: client, target: target.(*net.TCPConn)}
	p.mu.Lock()
	p.conns[c] = true
	c.lose(p.lost)
	p.mu.Unlock()
	var passing sync.WaitGroup
	passing.Go(func() { p.pass(c.target, c.client, c.recordRequest) })
	passing.Go(func() { p.pass(c.client, c.target, c.repeatRequest) })
	passing.Wait()
	if c.second != nil {
		c.second.Close()
	}
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
	c.client.Close()
	c.target.Close()
}

// recordRequest keeps what the client sends if requests are repeated.
func (c *proxiedConn) recordRequest(p *FaultyProxy, piece []byte) {
	if p.Repeat {
		c.request = append(c.request, piece...)
	}
}

// repeatRequest sends the recorded request again when its answer begins. The second answer is
// dropped.
func (c *proxiedConn) repeatRequest(p *FaultyProxy, _ []byte) {
	if len(c.request) == 0 {
		return
	}
	if c.second == nil {
		second, err := net.DialTimeout("tcp", p.target, 5*time.Second)
		if err != nil {
			return
		}
		c.second = second
		go io.Copy(io.Discard, second)
	}
	c.second.Write(c.request)
	c.request = nil
}

// pass copies until EOF, which it passes on too. It calls observe for each piece with p.mu held.
func (p *FaultyProxy) pass(to, from *net.TCPConn, observe func(*FaultyProxy, []byte)) {
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
			observe(p, buffer[:n])
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

// Set changes the proxy's settings.
func (p *FaultyProxy) Set(change func(*FaultyProxy)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// Cut resets all connections.
func (p *FaultyProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.client.SetLinger(0)
		c.target.SetLinger(0)
		c.client.Close()
		c.target.Close()
	}
}

// Lose drops every packet in these directions before TCP sees it: no acknowledgement, no reset.
// With both directions lost, new connections are not answered either. Lose(0) ends it.
func (p *FaultyProxy) Lose(d Direction) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lost = d
	drop(p.listener, d == ToTarget|ToClient)
	for c := range p.conns {
		c.lose(d)
	}
}

func (c *proxiedConn) lose(d Direction) {
	drop(c.client, d&ToTarget != 0)
	drop(c.target, d&ToClient != 0)
}

// drop makes the kernel drop incoming packets of a socket, or stops that.
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

// StartProxyWithoutUpgrades starts an HTTP proxy in front of an app that passes on no upgrade, and
// returns its URL.
func StartProxyWithoutUpgrades(t *testing.T, app *App) string {
	t.Helper()
	target, err := url.Parse(app.URL())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Connection")
	}})
	t.Cleanup(proxy.Close)
	return proxy.URL
}
