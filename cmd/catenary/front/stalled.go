package front

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"time"
)

// stallTimeout is how long a request's body or its response may make no progress. Without it, a
// browser could hold a goroutine and one of Puma's threads by sending half a body.
const stallTimeout = time.Minute

// abortStalled closes connections whose request body or response makes no progress for timeout. The
// handler itself may take as long as it likes.
func abortStalled(handler http.Handler, timeout time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &response{w, http.NewResponseController(w), timeout, false}
		out.controller.SetWriteDeadline(time.Time{}) // clears that of the previous response
		if r.Body != nil && r.Body != http.NoBody {
			// Already now: net/http itself reads a body that the handler does not.
			out.controller.SetReadDeadline(time.Now().Add(timeout))
			r.Body = &requestBody{r.Body, out}
		}
		handler.ServeHTTP(out, r)
		if !out.hijacked {
			out.extend() // for what net/http has buffered
		}
	})
}

// response extends the write deadline with each write.
type response struct {
	http.ResponseWriter
	controller *http.ResponseController
	timeout    time.Duration
	hijacked   bool
}

func (w *response) extend() { w.controller.SetWriteDeadline(time.Now().Add(w.timeout)) }

func (w *response) WriteHeader(status int) {
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// Hijack is for the cable and the proxy, which take connections over and set their own deadlines.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.hijacked = true
	conn, buffered, err := w.controller.Hijack()
	if passed, ok := conn.(*begun); ok && len(passed.read) == 0 {
		conn = passed.TCPConn
	}
	return conn, buffered, err
}

// Unwrap is for http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// requestBody extends the read deadline with each read.
type requestBody struct {
	io.ReadCloser
	*response
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.controller.SetReadDeadline(time.Now().Add(b.timeout))
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.controller.SetReadDeadline(time.Time{})
	}
	return n, err
}
