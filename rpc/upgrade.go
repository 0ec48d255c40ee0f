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

// upgradeWait is how long Rails may take to answer an upgrade: it has to find a
// thread for it.
const upgradeWait = 10 * time.Second

var (
	// errKnown says that the process has a link already.
	errKnown = errors.New("there is a link to this process")

	errNoProof = errors.New("whoever answered has not proved to know the secret")
)

// noLinkError is why calls must go by POST.
type noLinkError struct{ reason string }

const answersOnlyPost = "the backend answers POST " + Path + " and no upgrade"

func (e *noLinkError) Error() string { return e.reason }

// open makes a link by one of the backend's addresses. known are the processes
// that have one.
func (c *Client) open(ctx context.Context, address string, known []string) (*link, error) {
	return attempt(c.signers, func(s *signer) (*link, error) { return c.openWith(ctx, s, address, known) })
}

func (c *Client) openWith(ctx context.Context, signer *signer, address string, known []string) (l *link, err error) {
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
		"Catenary-Node": {c.options.Node}, "Catenary-Frames": {offered}, "Catenary-Known": {strings.Join(known, " ")},
	}
	nonce := signer.sign(header, "link v1", time.Now(), []byte(c.options.Node), []byte(offered), []byte(header.Get("Catenary-Known")))
	var request strings.Builder
	fmt.Fprintf(&request, "GET %s HTTP/1.1\r\n", c.target.path)
	header.Write(&request)
	request.WriteString("\r\n")
	if _, err := io.WriteString(conn, request.String()); err != nil {
		return nil, fmt.Errorf("asking Rails for a link: %w", err)
	}
	reader := bufio.NewReaderSize(conn, 32<<10)
	response, err := readFinal(reader)
	if err != nil {
		return nil, fmt.Errorf("asking Rails for a link: %w", err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols {
		return nil, notLinked(response)
	}

	process, answer, frames := response.Header.Get("Catenary-Process"), response.Header.Get("Catenary-Nonce"), response.Header.Get("Catenary-Frames")
	if !proves(signer.key, response.Header.Get("Catenary-Proof"), strings.Join([]string{"link v1 proof", nonce, answer, process, frames}, "\n")) {
		return nil, errNoProof
	}
	l = &link{
		client: c, conn: conn, reader: frameReader{from: reader}, since: time.Now(), calls: map[uint64]*Pending{}, publishing: map[uint64]chan<- error{},
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	l.process = &Process{ID: process, link: l}
	linkKey := mac(signer.key, strings.Join([]string{"link v1 key", nonce, answer}, "\n"))
	if frames != "plain" || offered != "plain" {
		l.mac, l.reader.mac = newFrameMAC(linkKey, "catenary"), newFrameMAC(linkKey, "rails")
	}
	if l.hello, err = l.introduce(linkKey); err != nil {
		return nil, fmt.Errorf("opening a link: %w", err)
	}
	l.heard.Store(time.Now().UnixNano())
	conn.SetDeadline(time.Time{})
	return l, nil
}

// introduce proves that the upgrade was no recording, and reads who answers.
func (l *link) introduce(linkKey []byte) (h hello, err error) {
	proof := append(beginFrame(nil), `{"proof":"`+hex.EncodeToString(mac(linkKey, "open"))+`"}`...)
	if proof, err = endFrame(proof, 0, l.mac); err != nil {
		return h, err
	}
	if _, err := l.conn.Write(proof); err != nil {
		return h, err
	}
	text, err := l.reader.next()
	if err != nil {
		return h, err
	}
	var frame struct{ Hello hello }
	if err := json.Unmarshal(text, &frame); err != nil {
		return h, fmt.Errorf("the first frame: %w", err)
	}
	h = frame.Hello
	if h.Process != l.process.ID || h.Settings == nil {
		return h, errors.New("the first frame is no hello: use the same version of the gem and of catenary")
	}
	h.Workers = max(h.Workers, 1)
	l.process.Local, l.process.Count = h.Settings.LocalBroadcasts, h.Count
	return h, nil
}

// readFinal passes over answers of 1xx other than the 101.
func readFinal(reader *bufio.Reader) (*http.Response, error) {
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

// notLinked says what an answer other than 101 means.
func notLinked(response *http.Response) error {
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
	switch response.StatusCode {
	case http.StatusConflict:
		return errKnown
	case http.StatusUpgradeRequired:
		return &noLinkError{"a proxy between catenary and Rails takes away the upgrade"}
	case http.StatusNotImplemented:
		return &noLinkError{"the web server of Rails cannot hand over a connection (rack.hijack)"}
	}
	return newStatusError(response.StatusCode, body)
}
