package edge

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// proxies are the headers that servers in front add for a browser at 203.0.113.7 that requests
// https://app.example.
var proxies = map[string][]string{
	"none":                      {"Host: localhost:3000"},
	"nginx":                     {"Host: app.example", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"},
	"nginx, port":               {"Host: app.example:8443", "X-Real-IP: 203.0.113.7", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https", "X-Forwarded-Port: 8443"},
	"nginx, a forged address":   {"Host: app.example", "X-Forwarded-For: 6.6.6.6, 203.0.113.7", "X-Forwarded-Proto: https"},
	"nginx, a forged Client-Ip": {"Host: app.example", "Client-Ip: 6.6.6.6", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"},
	"nginx, its own Host":       {"Host: 127.0.0.1:3000", "X-Forwarded-Host: app.example", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https"},
	"nginx behind another":      {"Host: app.example", "X-Forwarded-For: 203.0.113.7, 10.0.0.9", "X-Forwarded-Proto: https", "X-Forwarded-Host: app.example, inner.example"},
	"a public balancer":         {"Host: app.example", "X-Forwarded-For: 203.0.113.7, 198.51.100.1", "X-Forwarded-Proto: https"},
	"IPv6":                      {"Host: [2001:db8::1]:8080", "X-Forwarded-For: 2001:db8::7", "X-Forwarded-Proto: https"},
	"ssl":                       {"Host: app.example", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Ssl: on"},
	"scheme":                    {"Host: app.example", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Scheme: https"},
	"a chain of schemes":        {"Host: app.example", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Proto: https, http"},
	"Forwarded":                 {"Host: inner.example", "Forwarded: for=203.0.113.7;host=app.example;proto=https"},
}

// Behind every proxy the application gets the same addresses as natively: in its channels and, with
// --proxy, in its controllers.
func TestForwarded_TheAppGetsTheSameAddressesAsNatively(t *testing.T) {
	t.Parallel()
	const anyOrigin = "LAB_DISABLE_FORGERY_PROTECTION=true"
	native, err := stage.StartWorld("rails", "own", anyOrigin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(native.Close)
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app, err := stage.StartApp("lab", true, anyOrigin, "REDIS_URL="+redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	beside, err := stage.StartCatenary(app)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(beside.Process.Kill)
	before, err := stage.StartCatenary(app, "--proxy", "--pass-through", "HeadersChannel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(before.Process.Kill)

	for proxy, headers := range proxies {
		want := addressInChannel(t, native.Address, headers)
		for name, address := range map[string]string{"beside": beside.Address, "before": before.Address} {
			if got := addressInChannel(t, address, headers); got != want {
				t.Errorf("%s, catenary %s: a channel gets\n%s, natively\n%s", proxy, name, got, want)
			}
		}
		want = addressInController(t, native.Address, headers)
		if got := addressInController(t, before.Address, headers); got != want {
			t.Errorf("%s: a controller gets\n%s, natively\n%s", proxy, got, want)
		}
	}
}

func addressInChannel(t *testing.T, address string, headers []string) string {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", "/cable", address, headers))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode >= 500 { // Rails raises for contradictory headers: catenary answers 503 then, Puma 500
		return "nothing"
	}
	const identifier = `{"channel":"HeadersChannel"}`
	quoted, _ := json.Marshal(identifier)
	for _, command := range []string{`"subscribe"`, `"message","data":"{\"action\":\"address\"}"`} {
		if f, ok := stage.NextFrame(b); !ok { // welcome, confirmation
			t.Fatalf("got %s (%s)", f, b.Response.Status)
		}
		b.Send(fmt.Sprintf(`{"command":%s,"identifier":%s}`, command, quoted))
	}
	f, _ := stage.NextFrame(b)
	_, message, _ := strings.Cut(f.String(), `"message":`)
	return strings.TrimSuffix(message, "}")
}

func addressInController(t *testing.T, address string, headers []string) string {
	t.Helper()
	request, err := http.NewRequest("GET", "http://"+address+"/address", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		request.Header[name] = []string{value}
		if name == "Host" {
			request.Host = value
		}
	}
	response, err := (&http.Client{Timeout: stage.Patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		return response.Status
	}
	return string(body)
}
