package operate

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	otlp "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// A traceCollector receives OTLP over HTTP, as OpenTelemetry's collector does.
type traceCollector struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*spans.Span
	resource string // of the last request
	headers  http.Header
	raw      strings.Builder // all request bodies
}

func newTraceCollector(t *testing.T) *traceCollector {
	c := &traceCollector{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var request otlp.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &request)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL, err)
			w.WriteHeader(400)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw.Write(body)
		c.headers = r.Header
		for _, group := range request.ResourceSpans {
			c.resource = group.Resource.String()
			for _, scope := range group.ScopeSpans {
				c.spans = append(c.spans, scope.Spans...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(c.Close)
	return c
}

// find waits for a span for which is returns true.
func (c *traceCollector) find(t *testing.T, what string, is func(*spans.Span) bool) *spans.Span {
	t.Helper()
	var found *spans.Span
	if !stage.Await(func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, span := range c.spans {
			if found == nil && is(span) {
				found = span
			}
		}
		return found != nil
	}) {
		t.Fatalf("no span: %s, among %v", what, c.names())
	}
	return found
}

func (c *traceCollector) names() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, span := range c.spans {
		names = append(names, span.Name)
	}
	return names
}

// attribute returns an attribute of a span as text, "" if there is none.
func attribute(span *spans.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			if text, ok := a.Value.Value.(interface{ GetStringValue() string }); ok {
				return text.GetStringValue()
			}
			return strings.Trim(strings.SplitN(a.Value.String(), ":", 2)[1], `"`)
		}
	}
	return ""
}

var traceparent = regexp.MustCompile(`"traceparent":"00-([0-9a-f]{32})-([0-9a-f]{16})-01"`)

// The test compares the spans with the traceparent that Rails receives.
func TestTraces_GoFromTheBrowserThroughCatenaryIntoRails(t *testing.T) {
	t.Parallel()
	c := newTraceCollector(t)
	e := stage.StartEdge(t, 1, "  telemetry:\n    otlp_endpoint: "+c.URL+"\n    broadcasts_one_in: 1\n")
	const trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	b := e.Connect(0, "/cable?uid=7&password=seCret", "Cookie: _session=seCret-cookie", "traceparent: 00-"+trace+"-"+parent+"-01", "tracestate: browser=1")
	e.Expect(b, stage.Welcome)
	const headers = `{\"channel\":\"HeadersChannel\"}`
	b.Send(`{"command":"subscribe","identifier":"` + headers + `"}`)
	e.Expect(b, `{"identifier":"`+headers+`","type":"confirm_subscription"}`)
	seen := map[string]bool{}
	for range 2 { // both run in objects that the Rails process has kept
		b.Send(`{"command":"message","identifier":"` + headers + `","data":"{\"action\":\"trace\"}"}`)
		answer, _ := stage.NextFrame(b)
		ids := traceparent.FindStringSubmatch(answer.Text)
		if ids == nil {
			t.Fatalf("Rails received %s", answer.Text)
		}
		call := c.find(t, "the call whose traceparent Rails received", func(s *spans.Span) bool {
			return hex.EncodeToString(s.TraceId) == ids[1] && hex.EncodeToString(s.SpanId) == ids[2]
		})
		if call.Name != "call frames" || call.Kind != spans.Span_SPAN_KIND_CLIENT || attribute(call, "catenary.outcome") != "answered" || seen[ids[2]] {
			t.Errorf("the call's span is %v", call)
		}
		seen[ids[2]] = true
	}

	handshake := c.find(t, "the handshake", func(s *spans.Span) bool { return s.Name == "handshake" })
	if hex.EncodeToString(handshake.TraceId) != trace || hex.EncodeToString(handshake.ParentSpanId) != parent || attribute(handshake, "url.path") != "/cable" ||
		attribute(handshake, "http.response.status_code") != "101" {
		t.Errorf("the handshake's span is %v", handshake)
	}
	open := c.find(t, "the call for the handshake", func(s *spans.Span) bool { return s.Name == "call open" })
	if string(open.ParentSpanId) != string(handshake.SpanId) || attribute(open, "catenary.connection") == "" {
		t.Errorf("the span of the call open is %v", open)
	}

	params := `{\"channel\":\"StreamChannel\",\"s\":\"news\"}`
	b.Send(`{"command":"subscribe","identifier":"` + params + `"}`)
	e.Expect(b, `{"identifier":"`+params+`","type":"confirm_subscription"}`)
	if err := e.Redis.Do(`PUBLISH news {"seCret":1} => 1`); err != nil {
		t.Fatal(err)
	}
	broadcast := c.find(t, "the broadcast", func(s *spans.Span) bool { return s.Name == "broadcast" })
	if attribute(broadcast, "catenary.stream") != "news" || attribute(broadcast, "catenary.members") != "1" || broadcast.EndTimeUnixNano < broadcast.StartTimeUnixNano {
		t.Errorf("the broadcast's span is %v", broadcast)
	}

	b.Close()
	e.Nodes[0].Process.Stop(t) // sends what is left
	c.find(t, "the call for the disconnect", func(s *spans.Span) bool { return s.Name == "call close" })
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, secret := range []string{"seCret", "password", stage.SecretKeyBase} {
		if strings.Contains(c.raw.String(), secret) {
			t.Errorf("the collector got %q", secret)
		}
	}
	for _, part := range []string{`"catenary"`, "service.version", "service.instance.id"} {
		if !strings.Contains(c.resource, part) {
			t.Errorf("the resource %s has no %s", c.resource, part)
		}
	}
}

// Nothing else is affected.
func TestTraces_AFailingCollectorCostsOneLogLine(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }))
	defer gone.Close()
	e := stage.StartEdge(t, 1, fmt.Sprintf("  telemetry:\n    otlp_traces_endpoint: %s/elsewhere\n", gone.URL))
	b := e.Connect(0, "/cable")
	e.Expect(b, stage.Welcome)
	if err := e.Nodes[0].Process.WaitFor(func() error { return stage.Wrote(e.Nodes[0].Process, "failed to export traces") }); err != nil {
		t.Fatal(err)
	}
	e.Nodes[0].Process.Stop(t)
	if output := e.Nodes[0].Process.Output.String(); strings.Contains(output, "exporter export timeout") || strings.Count(output, "failed to export traces") != 1 {
		t.Errorf("the log is\n%s", output)
	}
}
