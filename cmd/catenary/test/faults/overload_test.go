package faults

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// hasOfSystem is how much memory Go has from the system.
func hasOfSystem(c *stage.Catenary) float64 {
	text, _ := stage.Get("http://" + c.Operations + "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || families["go_memstats_sys_bytes"] == nil {
		return 0
	}
	gauge := func(name string) float64 { return families[name].Metric[0].GetGauge().GetValue() }
	return gauge("go_memstats_sys_bytes") - gauge("go_memstats_heap_released_bytes")
}

// highest watches this until it is asked for the most.
func highest(c *stage.Catenary) (most func() float64) {
	stop, result := make(chan struct{}), make(chan float64)
	go func() {
		highest := 0.0
		for {
			select {
			case <-stop:
				result <- highest
				return
			case <-time.After(50 * time.Millisecond):
				highest = max(highest, hasOfSystem(c))
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-result
	}
}

// isDeaf connects, subscribes, and reads no more than the confirmation.
func isDeaf(e *stage.Edge, identifier string) {
	e.Helper()
	conn, err := net.Dial("tcp", e.Nodes[0].Address)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(4096)
	var heard []byte
	awaits := func(words string) {
		for some := make([]byte, 512); !bytes.Contains(heard, []byte(words)); {
			n, err := conn.Read(some)
			if err != nil {
				e.Fatalf("%v: %s", err, heard)
			}
			heard = append(heard, some[:n]...)
		}
	}
	conn.SetDeadline(time.Now().Add(stage.Patience))
	fmt.Fprint(conn, stage.Handshake("GET", "/cable", e.Nodes[0].Address, nil))
	awaits("\r\n\r\n")
	conn.Write(stage.MaskedFrame(0x80|stage.OpText, []byte(stage.Command("subscribe", identifier, nil))))
	awaits("confirm_subscription")
}

// TestOverload_MemoryStaysWithinItsBound has broadcasts go to browsers of which most do not read, of several times the memory that there is.
func TestOverload_MemoryStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	began := time.Now()
	const bound, margin = 128 << 20, 16 << 20
	e := stage.StartEdge(t, 1, "  limits:\n    memory: 128MiB\n    pending_bytes: 64MiB\n    connections_per_address: 0\n")
	// Each has an identifier of its own, and so frames of its own.
	identifier := func(i int) string { return fmt.Sprintf(`{"channel":"StreamChannel","s":["big"],"n":%d}`, i) }
	const deaf, broadcasts, size = 12, 50, 512 << 10 // 300 MB
	for i := range deaf {
		isDeaf(e, identifier(i))
	}
	healthy := e.Connect(0, "/cable")
	e.Expect(healthy, stage.Welcome)
	healthy.Send(stage.Command("subscribe", identifier(deaf), nil))
	e.Expect(healthy, stage.Confirmation(identifier(deaf)))

	// Somebody comes all the time, and is refused clearly for a while.
	var refusals []*http.Response
	var knocking sync.WaitGroup
	done := make(chan struct{})
	knocking.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			b, err := stage.Dial(e.Nodes[0].Address, stage.Handshake("GET", "/cable", e.Nodes[0].Address, nil))
			if err != nil {
				t.Error(err)
				return
			}
			b.Close()
			if b.Response.StatusCode != http.StatusSwitchingProtocols {
				refusals = append(refusals, b.Response)
			}
		}
	})

	highest := highest(e.Nodes[0])
	payload := strings.Repeat("x", size)
	for n := range broadcasts {
		if err := e.Redis.Do(fmt.Sprintf(`PUBLISH big {"n":%d,"x":"%s"}`, n, payload)); err != nil {
			t.Fatal(err)
		}
		f, ok := stage.NextFrame(healthy)
		if !ok || f.Text != stage.MessageFor(identifier(deaf), fmt.Sprintf(`{"n":%d,"x":"%s"}`, n, payload)) {
			t.Fatalf("broadcast %d: the browser that reads got %.200s", n, f)
		}
	}
	most := highest()
	close(done)
	knocking.Wait()

	if t.Logf("at most %.0f MB, %d handshakes refused", most/(1<<20), len(refusals)); most > bound+margin || most == 0 {
		t.Errorf("the process has had %.0f MB", most/(1<<20))
	}
	if len(refusals) == 0 {
		t.Error("nobody was refused")
	}
	for _, refusal := range refusals {
		if refusal.StatusCode != http.StatusServiceUnavailable || refusal.Header.Get("Retry-After") == "" {
			t.Fatalf("a handshake was answered with %s, Retry-After %q", refusal.Status, refusal.Header.Get("Retry-After"))
		}
	}
	log := e.Nodes[0].Process.Output.String()
	if lines := strings.Count(log, "handshakes are turned away"); lines < 1 || lines > 1+int(time.Since(began)/time.Minute) || !strings.Contains(log, "why=memory") {
		t.Errorf("the log does not say so once a minute:\n%s", log)
	}
	err := e.Nodes[0].Process.WaitFor(func() error { // it recovers by itself
		b, err := stage.Dial(e.Nodes[0].Address, stage.Handshake("GET", "/cable", e.Nodes[0].Address, nil))
		if err == nil {
			b.Close()
			if b.Response.StatusCode != http.StatusSwitchingProtocols {
				err = fmt.Errorf("the answer is %s", b.Response.Status)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if f, ok := healthy.Poll(); ok {
		t.Errorf("the browser that reads got %.200s", f)
	}
}
