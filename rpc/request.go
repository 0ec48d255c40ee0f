package rpc

import (
	"slices"
	"strings"
	"sync"
	"unique"
)

// Request is the browser's HTTP request as it came. URL is absolute.
type Request struct {
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers"`
	IP      string      `json:"ip"`
}

// EncodedRequest is a request's JSON as a call carries it. A connection keeps only this, because
// Rails may have to rebuild its objects from it at any time. Most of it is the same for all browsers
// of one version that visit one page, and they share that part.
type EncodedRequest struct {
	shared unique.Handle[string]
	own    string
}

// sharedHeaders are those that many browsers send with the same value.
var sharedHeaders = []string{
	"Host", "Connection", "Upgrade", "Origin", "User-Agent", "Pragma", "Cache-Control",
	"Accept-Encoding", "Accept-Language",
	"Sec-Websocket-Version", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions",
}

// encodings are buffers for Encode. On its stack, one would have to be grown for each handshake.
var encodings = sync.Pool{New: func() any { return new([]byte) }}

// Encode encodes a request.
func (r *Request) Encode() EncodedRequest {
	buffer := encodings.Get().(*[]byte)
	defer encodings.Put(buffer)
	b := (*buffer)[:0]
	b = appendText(append(b, `{"method":`...), r.Method)
	hasQuery := strings.Contains(r.URL, "?") // which may hold a token
	if !hasQuery {
		b = appendText(append(b, `,"url":`...), r.URL)
	}
	b = append(b, `,"headers":[`...)
	for _, name := range sharedHeaders {
		for _, header := range r.Headers {
			if header[0] == name {
				b = appendHeader(b, header)
			}
		}
	}
	shared := len(b)
	for _, header := range r.Headers {
		if !slices.Contains(sharedHeaders, header[0]) {
			b = appendHeader(b, header)
		}
	}
	b = append(b, ']')
	if hasQuery {
		b = appendText(append(b, `,"url":`...), r.URL)
	}
	b = append(appendText(append(b, `,"ip":`...), r.IP), '}')
	*buffer = b
	return EncodedRequest{unique.Make(string(b[:shared])), string(b[shared:])}
}

func appendHeader(b []byte, header [2]string) []byte {
	if b[len(b)-1] != '[' {
		b = append(b, ',')
	}
	b = appendText(append(b, '['), header[0])
	b = appendText(append(b, ','), header[1])
	return append(b, ']')
}

// IsZero reports whether there is no request.
func (e EncodedRequest) IsZero() bool { return e.own == "" }

// AppendTo appends the request's JSON. There must be a request.
func (e EncodedRequest) AppendTo(b []byte) []byte {
	return append(append(b, e.shared.Value()...), e.own...)
}
