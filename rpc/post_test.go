package rpc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend returns a client of a server that answers POSTs.
func backend(t *testing.T, answer http.HandlerFunc, change ...func(*Options)) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	o := Options{
		URL: server.URL, Secret: "secret", Node: "n", Transport: Post, Timeout: 2 * time.Second,
		Concurrency: 3, Queue: 10, ReplyBytes: 1 << 16,
	}
	for _, f := range change {
		f(&o)
	}
	client, err := NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func fine(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	io.WriteString(w, `{"v":1,"process":"b","results":[{"status":200}]}`)
}

func TestCall_IsSignedAsTheProtocolSays(t *testing.T) {
	var problem atomic.Value
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		key := hmac.New(sha256.New, []byte("secret"))
		io.WriteString(key, "catenary rpc v1")
		mac := hmac.New(sha256.New, key.Sum(nil))
		fmt.Fprintf(mac, "v1\n%s\n%s\n%s", r.Header.Get("Catenary-Time"), r.Header.Get("Catenary-Nonce"), body)
		expected := hex.EncodeToString(mac.Sum(nil))
		if r.Header.Get("Catenary-Signature") != expected || r.URL.Path != "/_catenary" || r.Method != "POST" {
			problem.Store(fmt.Sprint(r.Method, r.URL, r.Header))
		}
		io.WriteString(w, `{"process":"b","results":[{"status":200}]}`)
	})
	call := Call{Connection: "n:1", Do: Frames, Frames: []string{"{\"é\":\"\\\"\x01\"}"}}
	if _, err := client.Call(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if problem.Load() != nil {
		t.Fatal("wrongly signed: ", problem.Load())
	}
}

func TestRequest_IsValidJSONWhateverItContains(t *testing.T) {
	token := "t\u2028"
	request := &Request{
		Method: "GET", URL: "http://x/cable?a=1", Headers: [][2]string{{"X", "\xff"}}, IP: "::1",
	}
	call := Call{
		Connection: "n:1", Do: Frames, Version: "7", Frames: []string{"\x00\"\\\n", "plain", "é\xff"},
		Request: request.Encode(), State: "s", Tags: []string{"a"}, Protocol: "p",
		Channels: []Channel{{"b", "1", map[string]*string{"s": nil}}, {"a", "", map[string]*string{"x": &token}}},
	}
	text := appendRequest(nil, "n", []Call{
		call, {Do: Tick, Channel: "c", Timer: 2}, {Do: Deliver, Channel: "c", Stream: "", Payload: "{}"},
	})
	var back struct {
		Calls []struct {
			Frames   []string
			Channels json.RawMessage
			Timer    *int
			Stream   *string
		}
	}
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if got := back.Calls[0]; got.Frames[0] != "\x00\"\\\n" || got.Frames[2] != "é\ufffd" ||
		string(got.Channels) != "{\"b\":{\"streams\":{\"s\":null},\"state\":\"1\"},\"a\":{\"streams\":{\"x\":\"t\\u2028\"}}}" {
		t.Errorf("%+v %s", got, got.Channels)
	}
	if *back.Calls[1].Timer != 2 || *back.Calls[2].Stream != "" {
		t.Errorf("%s", text)
	}
}

func TestReply_IsParsedInAllItsParts(t *testing.T) {
	reply, err := parseReply([]byte(` {"v":1, "process":"b", "unknown":{"a":[1,"}"]}, "results":[
		{"need":"state"},
		{"status":200,"ver":"2","state":"s","tags":["t"],"id":"i","warnings":["w"],"error":{"kind":"lost","message":"m"},
		 "channels":{"a":{"state":"x","timers":[0.5,3]},"b":null},
		 "ops":[["send","f\u00e9"],["confirm","a"],["confirm","a","F"],["reject","b"],["sub","a","s",null],["sub","a","s","tok"],["sub","a","s"],
		        ["unsub","a","s"],["internal","i"],["close"],["welcome"],["message","a",{"x":[1]}],["disconnect","r",true],["drop","a"],
		        ["channel","a","RoomChannel","raised"]]},
		{"status":301,"headers":[["Location","x"]],"body":"moved"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", reply.results[1].Ops)
	for _, want := range []string{"Frame:fé", `Frame:{"identifier":"a","type":"confirm_subscription"}`, "Frame:F Channel", `reject_subscription`, "Channel:RoomChannel Event:raised",
		"{Kind:internal Identifier: Stream:i", `{"identifier":"a","message":{"x":[1]}}`, `{"type":"disconnect","reason":"r","reconnect":true}`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	r := reply.results[1]
	if *r.Ops[5].Token != "tok" || r.Ops[4].Token != nil || r.Channels["a"].Timers[1] != 3 || r.Channels["b"] != nil || r.Error.Kind != Lost ||
		reply.results[0].Need != "state" || reply.results[2].Headers[0][1] != "x" {
		t.Errorf("%+v", reply)
	}
}

func TestReply_ThatIsInvalidIsAnError(t *testing.T) {
	for _, text := range []string{``, `{`, `{"results":[{"ops":[["nonsense"]]}]}`, `{"results":[{"ops":[["send"]]}]}`, `{"results":[{"status":"x"}]}`} {
		if _, err := parseReply([]byte(text)); err == nil {
			t.Errorf("%q was accepted", text)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"process":"b","results":[{"status":200,"ops":[["sub","a","s",null],["message","a",1]],"channels":{"a":{"timers":[1]}}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		parseReply(text)
		parseIncoming(text)
	})
}

func TestCall_ErrorsSayWhatIsWrongAndWhatToDo(t *testing.T) {
	for status, want := range map[int]string{
		403: "the same CATENARY_SECRET", 404: "add the gem catenary-rails",
		400: "the same version", 502: "point backend.url at Puma",
	} {
		client := backend(t, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "because", status) })
		if _, err := client.Call(t.Context(), Call{}); err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, ErrNotSent) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestCall_ThatWasNotSentSaysSo(t *testing.T) {
	client := backend(t, fine, func(o *Options) { o.URL = "http://127.0.0.1:1" })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.Call(ctx, Call{}); !errors.Is(err, ErrNotSent) || !strings.Contains(err.Error(), "connecting to Rails") {
		t.Fatal(err)
	}
}

func TestCall_IsBoundedInTimeAndLength(t *testing.T) {
	slow := backend(t, func(w http.ResponseWriter, r *http.Request) { time.Sleep(1500 * time.Millisecond) },
		func(o *Options) { o.Timeout = 500 * time.Millisecond })
	if _, err := slow.Call(t.Context(), Call{}); err == nil || !strings.Contains(err.Error(), "backend.timeout") || errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	long := backend(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1<<17)) })
	if _, err := long.Call(t.Context(), Call{}); err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Error(err)
	}
}

func TestPost_CarriesSeveralQueuedCallsInOrderAndTheQueueIsBounded(t *testing.T) {
	requests := make(chan []string, 10)
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request struct{ Calls []struct{ Conn string } }
		json.Unmarshal(body, &request)
		var order, results []string
		for _, call := range request.Calls {
			order, results = append(order, call.Conn), append(results, `{"status":200}`)
		}
		requests <- order
		io.WriteString(w, `{"v":1,"process":"b","results":[`+strings.Join(results, ",")+`]}`)
	}, func(o *Options) { o.Concurrency, o.Queue = 1, 5 })
	pause := func(paused bool) {
		client.mu.Lock()
		defer client.mu.Unlock()
		client.post.paused = paused
		client.post.pump()
	}
	answers := make(chan Answer, 10)
	pause(true)
	for i := range 9 {
		_, err := client.Do(&Call{Connection: fmt.Sprint(i + 1), Do: Frames}, func(a Answer) { answers <- a })
		if busy := i >= 5; errors.Is(err, ErrBusy) != busy {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	pause(false)
	for range 5 {
		if a := <-answers; a.Err != nil {
			t.Error(a.Err)
		}
	}
	if together := <-requests; strings.Join(together, "") != "12345" {
		t.Errorf("one request had %v", together)
	}
}

func TestCall_IsNotMadeAfterItsContextEnded(t *testing.T) {
	release := make(chan struct{})
	var made atomic.Int32
	client := backend(t, func(w http.ResponseWriter, r *http.Request) { made.Add(1); <-release; fine(w, r) },
		func(o *Options) { o.Concurrency = 1 })
	first := make(chan error, 1)
	go func() { _, err := client.Call(t.Context(), Call{}); first <- err }()
	for made.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := client.Call(ctx, Call{}); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
	close(release)
	if err := <-first; err != nil || made.Load() != 1 {
		t.Error(err, made.Load())
	}
}

func TestPost_ReusesItsConnections(t *testing.T) {
	var opened atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(fine))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client, _ := NewClient(Options{
		URL: server.URL, Transport: Post, Timeout: time.Second, Concurrency: 2, Queue: 2, ReplyBytes: 1000,
	})
	defer client.Close()
	for i := range 20 {
		if _, err := client.Call(t.Context(), Call{}); err != nil {
			t.Fatal(i, err)
		}
	}
	if opened.Load() != 1 {
		t.Fatalf("%d connections for 20 calls", opened.Load())
	}
}

func TestPost_KeepsThePathOfTheBackendAndAcceptsInterimAnswers(t *testing.T) {
	var path atomic.Value
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		path.Store(r.URL.Path)
		w.WriteHeader(http.StatusProcessing)
		fine(w, r)
	}, func(o *Options) { o.URL += "/sub/dir/" })
	if _, err := client.Call(t.Context(), Call{}); err != nil || path.Load() != "/sub/dir/_catenary" {
		t.Fatal(err, path.Load())
	}
}

func TestPost_RepeatsACallInFullForAProcessThatLacksTheState(t *testing.T) {
	var bodies []string
	client := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, string(body))
		result := `{"need":"state"}`
		if strings.Contains(string(body), "request") {
			result = `{"status":200,"ver":"2"}`
		}
		io.WriteString(w, `{"v":1,"process":"b","results":[`+result+`]}`)
	})
	fill := func(c *Call, _ *Process) error { c.Request = (&Request{}).Encode(); return nil }
	result, err := client.Call(t.Context(), Call{Connection: "n:1", Do: Frames, Version: "1", Fill: fill})
	if err != nil || result.Version != "2" || len(bodies) != 2 || strings.Contains(bodies[0], "request") {
		t.Fatal(result, err, bodies)
	}
}

func TestCall_GoesOverAUnixSocketToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(fine)}
	go server.Serve(listener)
	defer server.Close()
	client, err := NewClient(Options{
		URL: "unix://" + path, Transport: Post, Timeout: time.Second, Concurrency: 1, ReplyBytes: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Call(t.Context(), Call{}); err != nil {
		t.Fatal(err)
	}
}

func TestBackendURL_ErrorsSayWhatToWrite(t *testing.T) {
	for _, url := range []string{"", "localhost:3000", "ftp://x", "http://", "unix:", "http://[::1"} {
		if _, err := NewClient(Options{URL: url}); err == nil || !strings.Contains(err.Error(), "backend.url") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(fine))
	defer server.Close()
	client, _ := NewClient(Options{
		URL: server.URL, Transport: Post, Secret: "x", Node: "n", Timeout: time.Second,
		Concurrency: 4, Queue: 100, ReplyBytes: 1000,
	})
	defer client.Close()
	frames := []string{`{"command":"message","identifier":"{\"channel\":\"ChatChannel\",\"room\":1}","data":"{\"body\":\"hello\",\"action\":\"speak\"}"}`}
	b.ReportAllocs()
	for b.Loop() {
		call := Call{Connection: "n:1", Do: Frames, Version: "1", Frames: frames}
		if _, err := client.Call(context.Background(), call); err != nil {
			b.Fatal(err)
		}
	}
}

func TestClient_TriesAllSecretsBeforeItReportsThatTheyAreWrong(t *testing.T) {
	var asked atomic.Int32
	answer := func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		body, _ := io.ReadAll(r.Body)
		signed := fmt.Sprintf("v1\n%s\n%s\n%s", r.Header.Get("Catenary-Time"), r.Header.Get("Catenary-Nonce"), body)
		if !proves(newSigner("right").key, r.Header.Get("Catenary-Signature"), signed) {
			http.NotFound(w, r) // as an app on another machine does
			return
		}
		io.WriteString(w, `{"v":1,"process":"b","results":[],"settings":{}}`)
	}
	client := backend(t, answer, func(o *Options) { o.Secrets = []string{"wrong", "right", "more"} })
	for range 2 {
		if _, err := client.Settings(time.Second); err != nil || client.Secret() != "right" {
			t.Fatalf("with %s: %v", client.Secret(), err)
		}
	}
	if asked.Load() != 4 { // three, and then the right one at once
		t.Errorf("%d requests", asked.Load())
	}
	wrong := backend(t, answer, func(o *Options) { o.Secrets = []string{"wrong"} })
	if _, err := wrong.Settings(time.Second); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("without the right one: %v", err)
	}
}
