package main

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/rpc"
	"github.com/catenary-cable/catenary/rpc/rpctest"
	"github.com/gorilla/websocket"
)

// appSecret signs what the doctor's apps and catenaries say to each other.
const appSecret = "a secret of the doctor's tests"

// An app is Rails' end of a link in a few lines: it refuses what Rails would
// refuse with these settings. The doctor is seen with a real Rails in
// cmd/catenary/test/operate.
type app struct {
	settings map[string]any
	connect  []any // what connect does; nil: it welcomes
}

// refusal is Rails' answer to a handshake that it does not like.
func (a *app) refusal(request *rpc.Request) map[string]any {
	header := http.Header{}
	for _, pair := range request.Headers {
		header.Add(pair[0], pair[1])
	}
	u, _ := url.Parse(request.URL)
	scheme := "http"
	if header.Get("X-Forwarded-Proto") == "https" || a.settings["assume_ssl"] == true || u.Scheme == "https" {
		scheme = "https"
	}
	host, origin := header.Get("Host"), header.Get("Origin")
	answer := func(status int, body string, headers ...[2]string) map[string]any {
		return map[string]any{"status": status, "headers": headers, "body": body}
	}
	hosts, _ := a.settings["hosts"].([]string)
	if len(hosts) > 0 && !slices.ContainsFunc(hosts, func(allowed string) bool {
		return strings.HasPrefix(allowed, "#<IPAddr") || host == strings.TrimPrefix(allowed, ".") || strings.HasPrefix(allowed, ".") && strings.HasSuffix(host, allowed)
	}) {
		return answer(403, "Blocked host: "+host)
	}
	if a.settings["force_ssl"] == true && scheme != "https" {
		return answer(301, "", [2]string{"Location", "https://" + host + u.Path})
	}
	if mount, _ := a.settings["mount_path"].(string); mount != "" && u.Path != mount || mount == "" && u.Path != "/cable" {
		return answer(404, "<h1>No route matches</h1>")
	}
	origins, _ := a.settings["allowed_request_origins"].([]string)
	same := a.settings["allow_same_origin_as_host"] != false && origin == scheme+"://"+host
	if a.settings["disable_request_forgery_protection"] != true && !same && !slices.Contains(origins, origin) {
		return answer(404, "Page not found", [2]string{"Content-Type", "text/plain"})
	}
	return nil
}

func (a *app) result(call rpctest.Call) map[string]any {
	result := map[string]any{"status": 200, "ver": "1", "kept": true}
	if call.Do != rpc.Open {
		return result
	}
	var request rpc.Request
	json.Unmarshal(call.Request, &request)
	if refusal := a.refusal(&request); refusal != nil {
		return refusal
	}
	result["ops"] = []any{[]any{"welcome"}}
	if a.connect != nil {
		result["ops"] = a.connect
	}
	return result
}

// start starts the app, with these changes.
func (a *app) start(t *testing.T, change ...func(*rpctest.Rails)) *rpctest.Rails {
	settings := map[string]any{"allow_same_origin_as_host": true}
	for key, value := range a.settings {
		if settings[key] = value; value == false {
			delete(settings, key)
		}
	}
	change = append([]func(*rpctest.Rails){func(r *rpctest.Rails) { r.Settings, r.Serve = settings, a.byPOST }}, change...)
	return rpctest.New(t, appSecret, func(l *rpctest.Link, call rpctest.Call) {
		text, _ := json.Marshal(a.result(call))
		l.End(call, string(text))
	}, change...)
}

// byPOST answers calls that come so.
func (a *app) byPOST(w http.ResponseWriter, r *http.Request) {
	var body struct{ Calls []json.RawMessage }
	json.NewDecoder(r.Body).Decode(&body)
	answer := map[string]any{"v": 1, "process": "b", "results": []any{}}
	if len(body.Calls) == 0 {
		settings := map[string]any{"rails": "0", "gem": "0", "environment": "development", "mount_path": "/cable", "allow_same_origin_as_host": true}
		maps.Copy(settings, a.settings)
		answer["settings"] = settings
	}
	var results []any
	for _, text := range body.Calls {
		var call rpctest.Call
		json.Unmarshal(text, &call)
		results = append(results, a.result(call))
	}
	if results != nil {
		answer["results"] = results
	}
	json.NewEncoder(w).Encode(answer)
}

// natively is an app without the gem, with its own Action Cable.
func natively(w http.ResponseWriter, r *http.Request) {
	upgrader := websocket.Upgrader{Subprotocols: []string{"actioncable-v1-json"}}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	for _, text := range []string{`{"type":"welcome"}`, `{"type":"ping","message":1}`} {
		ws.WriteMessage(websocket.TextMessage, []byte(text))
	}
	ws.ReadMessage()
}
