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

// memoryInUse returns the memory that Go has got from the system and not released.
func memoryInUse(c *stage.Catenary) float64 {
	text, _ := stage.Get("http://" + c.Operations + "/metrics")
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil || families["go_memstats_sys_bytes"] == nil {
		return 0
	}
	gauge := func(name string) float64 { return families[name].Metric[0].GetGauge().GetValue() }
	return gauge("go_memstats_sys_bytes") - gauge("go_memstats_heap_released_bytes")
}

// watchMemory measures the memory until peak is called, which returns the highest value.
func watchMemory(c *stage.Catenary) (peak func() float64) {
	stop, result := make(chan struct{}), make(chan float64)
	go func() {
		highest := 0.0
		for {
			select {
			case <-stop:
				result <- highest
				return
			case <-time.After(50 * time.Millisecond):
				highest = max(highest, memoryInUse(c))
			}
		}
	}()
	return func() float64 {
		close(stop)
		return <-result
	}
}

// connectWithoutReading connects and subscribes, and reads nothing after the confirmation.
func connectWithoutReading(e *stage.Edge, identifier string) {
	e.Helper()
	conn, err := net.Dial("tcp", e.Nodes[0].Address)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(func() { conn.Close() })
	conn.(*net.TCPConn).SetReadBuffer(4096)
	var received []byte
	readUntil := func(text string) {
		for some := make([]byte, 512); !bytes.Contains(received, []byte(text)); {
			n, err := conn.Read(some)
			if err != nil {
				e.Fatalf("%v: %s", err, received)
			}
			received = append(received, some[:n]...)
		}
	}
	conn.SetDeadline(time.Now().Add(stage.Patience))
	fmt.Fprint(conn, stage.Handshake("GET", "/cable", e.Nodes[0].Address, nil))
	readUntil("\r\n\r\n")
	conn.Write(stage.MaskedFrame(0x80|stage.OpText, []byte(stage.Command("subscribe", identifier, nil))))
	readUntil("confirm_subscription")
}

// Broadcasts of several times the available memory go to browsers most of which do not read.
func TestOverload_MemoryStaysWithinItsBound(t *testing.T) {
	t.Parallel()
	began := time.Now()
	const bound, margin = 128 << 20, 16 << 20
	e := stage.StartEdge(t, 1, "  limits:\n    memory: 128MiB\n    pending_bytes: 64MiB\n    connections_per_address: 0\n")
	// Each browser has an identifier of its own, and so its own frames.
	identifier := func(i int) string { return fmt.Sprintf(`{"channel":"StreamChannel","s":["big"],"n":%d}`, i) }
	const deaf, broadcasts, size = 12, 50, 512 << 10 // 300 MB
	for i := range deaf {
		connectWithoutReading(e, identifier(i))
	}
	healthy := e.Connect(0, "/cable")
	e.Expect(healthy, stage.Welcome)
	healthy.Send(stage.Command("subscribe", identifier(deaf), nil))
	e.Expect(healthy, stage.Confirmation(identifier(deaf)))

	// A browser tries to connect all the time, and is rejected for a while.
	var rejections []*http.Response
	var connecting sync.WaitGroup
	done := make(chan struct{})
	connecting.Go(func() {
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
				rejections = append(rejections, b.Response)
			}
		}
	})

	peak := watchMemory(e.Nodes[0])
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
	most := peak()
	close(done)
	connecting.Wait()

	t.Logf("at most %.0f MB, %d handshakes rejected", most/(1<<20), len(rejections))
	if most > bound+margin || most == 0 {
		t.Errorf("the process used up to %.0f MB", most/(1<<20))
	}
	if len(rejections) == 0 {
		t.Error("no handshake was rejected")
	}
	for _, r := range rejections {
		if r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Fatalf("a handshake was answered with %s, Retry-After %q", r.Status, r.Header.Get("Retry-After"))
		}
	}
	log := e.Nodes[0].Process.Output.String()
	if lines := strings.Count(log, "handshakes rejected"); lines < 1 || lines > 1+int(time.Since(began)/time.Minute) || !strings.Contains(log, "reason=memory") {
		t.Errorf("the log does not have the rejections once a minute:\n%s", log)
	}
	err := e.Nodes[0].Process.WaitFor(func() error { // handshakes succeed again
		b, err := stage.Dial(e.Nodes[0].Address, stage.Handshake("GET", "/cable", e.Nodes[0].Address, nil))
		if err == nil {
			b.Close()
			if b.Response.StatusCode != http.StatusSwitchingProtocols {
				err = fmt.Errorf("the handshake was answered with %s", b.Response.Status)
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
