// Package rpctest is Rails' end of a link in a few lines of Go, for tests of what makes calls. It
// answers upgrades as docs/rpc.md says; the test decides what calls do.
package rpctest

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Rails is a Rails process.
type Rails struct {
	*httptest.Server
	Name    string // of the process
	Workers int
	Count   int    // of Puma's workers; 0: the hello does not say
	Frames  string // "mac": frames have MACs although plain ones were offered

	Settings map[string]any // added to the minimum in the hello

	// Answer runs a call, and calls Link.End with its result, now or later.
	Answer func(*Link, Call)
	// Publish acts on publish frames; nil: they get no answer.
	Publish func(stream, message string) error
	// Serve answers requests other than upgrades; nil: with 404.
	Serve http.HandlerFunc

	key []byte

	mu    sync.Mutex
	links []*Link
}

// Call is a call that came over a link.
type Call struct {
	Number     uint64   `json:"call"`
	Connection string   `json:"conn"`
	Do         string   `json:"do"`
	Version    string   `json:"ver"`
	Frames     []string `json:"frames"`
	Channel    string   `json:"channel"`
	Stream     string   `json:"stream"`
	Payload    string   `json:"payload"`
	State      string   `json:"state"`
	Protocol   string   `json:"protocol"`

	Request  json.RawMessage `json:"request"`  // nil in a short call
	Channels json.RawMessage `json:"channels"` // nil in a short call
	Text     []byte          `json:"-"`        // the frame's JSON
}

// New starts a process, which stops when the test ends.
func New(t testing.TB, secret string, answer func(*Link, Call), change ...func(*Rails)) *Rails {
	t.Helper()
	r := &Rails{
		Name: "b-" + random(4), Workers: 4, Frames: "plain",
		Answer: answer, key: mac([]byte(secret), "catenary rpc v1"),
	}
	for _, f := range change {
		f(r)
	}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() {
		r.Cut()
		r.Server.Close()
	})
	return r
}

// Links returns all links that were ever opened, oldest first.
func (r *Rails) Links() []*Link {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Link(nil), r.links...)
}

// Cut closes all links without a bye, as a process does that is killed.
func (r *Rails) Cut() {
	for _, l := range r.Links() {
		l.conn.Close()
	}
}

// Restart is Cut, and later links are to a process of another name.
func (r *Rails) Restart() {
	r.mu.Lock()
	r.Name = "b-" + random(4)
	r.mu.Unlock()
	r.Cut()
}

func (r *Rails) name() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Name
}

// ServeHTTP opens a link for an upgrade.
func (r *Rails) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	if request.Header.Get("Upgrade") != "catenary" {
		if r.Serve != nil {
			r.Serve(w, request)
			return
		}
		http.NotFound(w, request)
		return
	}
	h := request.Header
	nonce, frames := h.Get("Catenary-Nonce"), h.Get("Catenary-Frames")
	signed := strings.Join([]string{
		"link v1", h.Get("Catenary-Time"), nonce, h.Get("Catenary-Node"), frames, h.Get("Catenary-Known"),
	}, "\n")
	if h.Get("Catenary-Signature") != hex.EncodeToString(mac(r.key, signed)) {
		http.Error(w, "catenary: the signature is wrong", http.StatusForbidden)
		return
	}
	name := r.name()
	if strings.Contains(" "+h.Get("Catenary-Known")+" ", " "+name+" ") {
		w.Header().Set("Catenary-Process", name)
		http.Error(w, "", http.StatusConflict)
		return
	}
	if r.Frames == "mac" {
		frames = "mac"
	}
	ourNonce := random(16)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	proof := mac(r.key, strings.Join([]string{"link v1 proof", nonce, ourNonce, name, frames}, "\n"))
	fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: catenary\r\n"+
		"Catenary-Process: %s\r\nCatenary-Nonce: %s\r\nCatenary-Frames: %s\r\nCatenary-Proof: %x\r\n\r\n",
		name, ourNonce, frames, proof)
	l := &Link{
		rails: r, process: name, node: h.Get("Catenary-Node"),
		conn: conn, reader: buffered.Reader, mac: frames == "mac",
	}
	linkKey := mac(r.key, strings.Join([]string{"link v1 key", nonce, ourNonce}, "\n"))
	l.keys = [2][]byte{mac(linkKey, "catenary"), mac(linkKey, "rails")}
	go l.run(linkKey)
}

// Link is a link to one catenary node.
type Link struct {
	rails   *Rails
	process string
	node    string
	conn    net.Conn
	reader  *bufio.Reader
	mac     bool
	keys    [2][]byte // for the MACs of catenary's frames, and of ours
	read    uint64    // frames; owned by run

	mu       sync.Mutex
	written  uint64   // frames
	controls []string // frames other than calls, in order
}

func (l *Link) run(linkKey []byte) {
	defer l.conn.Close()
	proof, err := l.next()
	if err != nil || string(proof) != fmt.Sprintf(`{"proof":"%x"}`, mac(linkKey, "open")) {
		return
	}
	settings := map[string]any{"rails": "0", "gem": "0", "environment": "test", "mount_path": "/cable"}
	maps.Copy(settings, l.rails.Settings)
	hello, _ := json.Marshal(map[string]any{"hello": map[string]any{
		"process": l.process, "workers": l.rails.Workers, "count": l.rails.Count, "settings": settings,
	}})
	l.Write(string(hello))
	l.rails.mu.Lock()
	for _, other := range l.rails.links {
		if other.node == l.node {
			other.conn.Close() // the node has lost it, or it would not open another
		}
	}
	l.rails.links = append(l.rails.links, l)
	l.rails.mu.Unlock()
	for {
		text, err := l.next()
		if err != nil {
			return
		}
		call := Call{Text: append([]byte(nil), text...)}
		if json.Unmarshal(text, &call) != nil || call.Do == "" {
			l.mu.Lock()
			l.controls = append(l.controls, string(text))
			l.mu.Unlock()
			l.answerControl(text)
			continue
		}
		l.rails.Answer(l, call)
	}
}

// answerControl answers a ping, and a publish if there is a Publish.
func (l *Link) answerControl(text []byte) {
	var frame struct {
		Ping             *uint64
		Publish, Message string
		Number           uint64
	}
	json.Unmarshal(text, &frame)
	switch {
	case frame.Ping != nil:
		l.Write(fmt.Sprintf(`{"pong":%d}`, *frame.Ping))
	case frame.Publish != "" && l.rails.Publish != nil:
		answer := map[string]any{"published": frame.Number}
		err := l.rails.Publish(frame.Publish, frame.Message)
		if err != nil {
			answer["failed"] = err.Error()
		}
		reply, _ := json.Marshal(answer)
		l.Write(string(reply))
	}
}

// Controls returns the JSON of all frames other than calls that catenary sent, in order.
func (l *Link) Controls() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.controls...)
}

// End sends the result of a call: JSON such as {"status":200}.
func (l *Link) End(call Call, result string) {
	l.Write(fmt.Sprintf(`{"end":%d,%s`, call.Number, strings.TrimPrefix(result, "{")))
}

// Write sends a frame of JSON.
func (l *Link) Write(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	frame = append(frame, text...)
	if l.mac {
		frame = append(frame, mac(l.keys[1], string(binary.BigEndian.AppendUint64(nil, l.written))+text)...)
	}
	l.written++
	l.conn.Write(frame)
}

// WriteRaw sends bytes that need not be a valid frame.
func (l *Link) WriteRaw(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn.Write(b)
}

// Close closes the link. Write a bye before it to stop in good order.
func (l *Link) Close() { l.conn.Close() }

func (l *Link) next() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(l.reader, head[:]); err != nil {
		return nil, err
	}
	text := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(l.reader, text); err != nil {
		return nil, err
	}
	if l.mac {
		var sum [32]byte
		if _, err := io.ReadFull(l.reader, sum[:]); err != nil {
			return nil, err
		}
		if !hmac.Equal(sum[:], mac(l.keys[0], string(binary.BigEndian.AppendUint64(nil, l.read))+string(text))) {
			return nil, fmt.Errorf("wrong MAC on frame %d", l.read)
		}
	}
	l.read++
	return text, nil
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	io.WriteString(m, text)
	return m.Sum(nil)
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
