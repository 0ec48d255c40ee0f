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

// appSecret signs calls between the apps and catenaries of the doctor's tests.
const appSecret = "a secret of the doctor's tests"

// app is a small replacement of Rails at the other end of a link. It rejects the handshakes that
// Rails would reject with these settings. cmd/catenary/test/operate tests the doctor with a real
// Rails.
type app struct {
	settings map[string]any
	connect  []any // the effects of connect; nil: welcome
}

// rejection is Rails' answer to a handshake that it rejects, or nil.
func (a *app) rejection(request *rpc.Request) map[string]any {
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
	if rejection := a.rejection(&request); rejection != nil {
		return rejection
	}
	result["ops"] = []any{[]any{"welcome"}}
	if a.connect != nil {
		result["ops"] = a.connect
	}
	return result
}

// start starts the app. change may change its Rails.
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

// byPOST answers calls that come by POST.
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
