package rpc

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// upgradeWait is how long Rails may take to answer an upgrade: it needs a free thread for it.
const upgradeWait = 10 * time.Second

var (
	// errKnown means that the process that answered has a link already.
	errKnown = errors.New("there is a link to this process")

	errNoProof = errors.New("the peer that answered the upgrade did not prove that it knows the secret")
)

// noLinkError is why links are impossible and calls must go by POST.
type noLinkError struct{ reason string }

func (e *noLinkError) Error() string { return e.reason }

const answersOnlyPost = "the backend answers POST " + Path + " but no upgrade"

// hello is a process' first frame, in which it describes itself.
type hello struct {
	Process  string    `json:"process"`
	Workers  int       `json:"workers"`
	Index    *int      `json:"index"` // of Puma's worker; nil: it has none
	Count    int       `json:"count"` // of Puma's workers; 0: not known
	Settings *Settings `json:"settings"`
}

// index returns the index of Puma's worker, or -1.
func (h *hello) index() int {
	if h.Index == nil {
		return -1
	}
	return *h.Index
}

// logAttrs describes the process for the log.
func (l *link) logAttrs() []any {
	attrs := []any{"process", l.process.ID, "workers", l.hello.Workers}
	if l.hello.Index != nil {
		attrs = append(attrs, "puma_worker", *l.hello.Index, "puma_workers", l.hello.Count)
	}
	return attrs
}

// open opens a link through one of the backend's addresses, to a process that is not among known.
// It returns errKnown if such a process answered, *noLinkError if links are impossible, and
// *StatusError for other answers.
func (c *Client) open(ctx context.Context, address string, known []string) (*link, error) {
	return withEachSecret(c.signers, func(s *signer) (*link, error) {
		return c.openWith(ctx, s, address, known)
	})
}

func (c *Client) openWith(
	ctx context.Context, signer *signer, address string, known []string,
) (l *link, err error) {
	conn, err := c.target.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	conn.SetDeadline(time.Now().Add(upgradeWait))

	offered := "mac"
	if c.target.private(conn) {
		offered = "plain"
	}
	header := http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"catenary"}, "Host": {c.target.host},
		"Catenary-Node": {c.options.Node}, "Catenary-Frames": {offered},
		"Catenary-Known": {strings.Join(known, " ")},
	}
	nonce := signer.sign(header, "link v1", time.Now(),
		[]byte(c.options.Node), []byte(offered), []byte(header.Get("Catenary-Known")))
	var request strings.Builder
	fmt.Fprintf(&request, "GET %s HTTP/1.1\r\n", c.target.path)
	header.Write(&request)
	request.WriteString("\r\n")
	_, err = io.WriteString(conn, request.String())
	if err != nil {
		return nil, fmt.Errorf("opening a link to Rails: %w", err)
	}
	reader := bufio.NewReaderSize(conn, 32<<10)
	response, err := readResponse(reader)
	if err != nil {
		return nil, fmt.Errorf("opening a link to Rails: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, upgradeError(response)
	}

	process := response.Header.Get("Catenary-Process")
	theirNonce := response.Header.Get("Catenary-Nonce")
	frames := response.Header.Get("Catenary-Frames")
	proven := strings.Join([]string{"link v1 proof", nonce, theirNonce, process, frames}, "\n")
	if !proves(signer.key, response.Header.Get("Catenary-Proof"), proven) {
		return nil, errNoProof
	}
	l = &link{
		client: c, conn: conn, reader: frameReader{from: reader}, since: time.Now(),
		calls: map[uint64]*Pending{}, publishing: map[uint64]chan<- error{},
		wake: make(chan struct{}, 1), readingEnded: make(chan struct{}),
	}
	l.process = &Process{ID: process, link: l}
	linkKey := mac(signer.key, strings.Join([]string{"link v1 key", nonce, theirNonce}, "\n"))
	if frames != "plain" || offered != "plain" {
		l.mac = newFrameMAC(linkKey, "catenary")
		l.reader.mac = newFrameMAC(linkKey, "rails")
	}
	l.hello, err = l.exchangeHello(linkKey)
	if err != nil {
		return nil, fmt.Errorf("opening a link to Rails: %w", err)
	}
	l.lastFrame.Store(time.Now().UnixNano())
	conn.SetDeadline(time.Time{})
	return l, nil
}

// exchangeHello proves to Rails that the upgrade was not a replayed recording, and reads the hello.
func (l *link) exchangeHello(linkKey []byte) (h hello, err error) {
	proof := append(beginFrame(nil), `{"proof":"`+hex.EncodeToString(mac(linkKey, "open"))+`"}`...)
	proof, err = endFrame(proof, 0, l.mac)
	if err != nil {
		return h, err
	}
	_, err = l.conn.Write(proof)
	if err != nil {
		return h, err
	}
	text, err := l.reader.next()
	if err != nil {
		return h, err
	}
	var frame struct{ Hello hello }
	err = json.Unmarshal(text, &frame)
	if err != nil {
		return h, fmt.Errorf("reading the hello: %w", err)
	}
	h = frame.Hello
	if h.Process != l.process.ID || h.Settings == nil {
		return h, errors.New("first frame is not a hello: use the same version of the gem and of catenary")
	}
	h.Settings.received(time.Now())
	h.Workers = max(h.Workers, 1)
	l.process.Local = h.Settings.LocalBroadcasts
	l.process.Count = h.Count
	return h, nil
}

// readResponse skips interim responses (1xx) other than the 101.
func readResponse(reader *bufio.Reader) (*http.Response, error) {
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodGet})
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// upgradeError returns what an answer other than 101 means.
func upgradeError(response *http.Response) error {
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	switch response.StatusCode {
	case http.StatusConflict:
		return errKnown
	case http.StatusUpgradeRequired:
		return &noLinkError{"a proxy between catenary and Rails strips the Upgrade header"}
	case http.StatusNotImplemented:
		return &noLinkError{"Rails' web server does not support rack.hijack"}
	}
	return newStatusError(response.StatusCode, body)
}
