package clients

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const historyLimit = 250

// The clients ask for what they have missed, on a node other than the one that they have left.
func TestHistory_AnycableClientsMissNothing(t *testing.T) {
	t.Parallel()
	env := []string{"LAB_DISABLE_FORGERY_PROTECTION=true", fmt.Sprintf(`LAB_HISTORY={"chat:*":{"limit":%d}}`, historyLimit)}
	e := stage.StartEdgeOn(t, 2, env, "  log:\n    level: debug\n")
	t.Run("in Chromium", func(t *testing.T) { missesNothingInChromium(t, e) })
	t.Run("in Node", func(t *testing.T) {
		client := stage.StartNode(t, "history.mjs", e.Nodes[0].Address, e.App.URL(), e.Nodes[1].Address,
			fmt.Sprint(e.Nodes[0].Process.Command.Process.Pid), fmt.Sprint(historyLimit))
		stage.MustSucceed(t, client)
		t.Log("\n" + client.Output.Tail())
	})
}

func missesNothingInChromium(t *testing.T, e *stage.Edge) {
	site := startSite(t, e.Nodes[0].Address)
	page := stage.NewUser(t, stage.StartChromium(t))
	page.Open(site.URL)
	broadcast := func(stream string, count int) {
		t.Helper()
		if err := e.App.Ask(fmt.Sprintf(`POST /broadcasts {"stream":%q,"count":%d}`, stream, count)); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(count int) {
		t.Helper()
		page.ExpectThat("the answer about history", fmt.Sprintf("infos.length === %d", count))
	}
	expect := func(counts ...int) {
		t.Helper()
		var want []int
		for _, count := range counts {
			for n := 1; n < count; n++ { // the client drops the message 0
				want = append(want, n)
			}
		}
		page.ExpectThat("all broadcasts", fmt.Sprintf("seen.length >= %d", len(want)))
		if got := stage.Evaluate[[]int](page, "seen"); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
	answers(1)
	broadcast("chat:page", 4)
	expect(4)
	site.send("")
	broadcast("chat:page", 201)
	site.send(e.Nodes[1].Address)
	answers(2)
	broadcast("chat:page", 2)
	expect(4, 201, 2)

	site.send("")
	broadcast("chat:page", historyLimit+1)
	site.send(e.Nodes[0].Address)
	answers(3)
	broadcast("chat:page", 2)
	expect(4, 201, 2, 2)
	want := []string{"history_received", "history_received", "history_not_found"}
	if got := stage.Evaluate[[]string](page, "infos"); !slices.Equal(got, want) {
		t.Errorf("the client reports %v, want %v", got, want)
	}
}

// site serves a page with @anycable/web, unmodified, and sends its cable to a node, as a balancer does.
type site struct {
	*httptest.Server
	mu     sync.Mutex
	node   string // "": no cable can be opened
	cables context.Context
	cut    context.CancelFunc
}

const anycablePage = `<!DOCTYPE html>
<script type="importmap">{"imports": {"@anycable/web": "/@anycable/web/index.js", "@anycable/core": "/@anycable/core/index.js", "nanoevents": "/nanoevents/index.js"}}</script>
<script type="module">
	import { createCable } from "@anycable/web"
	window.seen = []
	window.infos = []
	const cable = createCable({ protocol: "actioncable-v1-ext-json", reconnectStrategy: () => 200 })
	const channel = cable.subscribeTo("StreamChannel", { s: "chat:page" })
	channel.on("message", message => seen.push(message))
	channel.on("info", ({ type }) => infos.push(type))
</script>`

func startSite(t *testing.T, node string) *site {
	s := &site{}
	s.send(node)
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServer(http.Dir(stage.ProjectRoot+"/testdata/npm/node_modules")))
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, anycablePage)
	})
	mux.HandleFunc("/cable", s.cable)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	t.Cleanup(func() { s.send("") })
	return s
}

func (s *site) cable(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	node, cables := s.node, s.cables
	s.mu.Unlock()
	if node == "" {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	proxy := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: node})
		r.Out.Host = r.In.Host
	}}
	proxy.ServeHTTP(w, r.WithContext(cables))
}

// send cuts all cables, and sends new ones to a node.
func (s *site) send(node string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cut != nil {
		s.cut()
	}
	s.node = node
	s.cables, s.cut = context.WithCancel(context.Background())
}

// Only Rails' redis adapter can keep a history.
func TestHistory_IsRefusedWithAnotherAdapter(t *testing.T) {
	t.Parallel()
	w, err := startWithoutRedis(t, `LAB_HISTORY={"chat:*":{}}`)
	t.Cleanup(w.Close)
	if err != nil {
		t.Fatal(err)
	}
	const refusal = `config.catenary.history has no effect" reason="the adapter in config/cable.yml is not redis"`
	if err := w.Catenary.Process.WaitFor(func() error { return stage.Wrote(w.Catenary.Process, refusal) }); err != nil {
		t.Fatal(err)
	}
	const chat = `{"channel":"StreamChannel","s":"chat:1"}`
	c := stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, []string{"Sec-WebSocket-Protocol: actioncable-v1-ext-json"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c.Browsers[""] = b
	c.MustPlay(t, "server> 101", "server> Sec-WebSocket-Protocol: actioncable-v1-ext-json", `server> {"type":"welcome"}`,
		`browser> {"command":"subscribe","identifier":`+stage.Quoted(chat)+`,"history":{"since":1795451915}}`,
		"server> "+stage.Confirmation(chat), `server> {"identifier":`+stage.Quoted(chat)+`,"type":"reject_history"}`)
}
