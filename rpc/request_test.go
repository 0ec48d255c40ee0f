package rpc

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestRequest_KeepsEveryHeaderWhenItIsEncoded(t *testing.T) {
	for name, r := range map[string]Request{
		"no headers":       {Method: "GET", URL: "http://a/cable", IP: "::1"},
		"only shared ones": {Method: "GET", URL: "http://a/cable", Headers: [][2]string{{"Host", "a"}, {"Origin", `http://"a\`}}},
		"only its own":     {Method: "GET", URL: "http://a/cable?token=t", Headers: [][2]string{{"Cookie", "a=1"}, {"Cookie", "b=2"}}},
		"both":             {Method: "GET", URL: "http://a/cable?token=t", Headers: [][2]string{{"Host", "a"}, {"Upgrade", "websocket"}, {"Cookie", "\x01é"}, {"X-A", ""}}, IP: "10.0.0.1"},
	} {
		var got Request
		err := json.Unmarshal(r.Encode().AppendTo(nil), &got)
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, r.Encode().AppendTo(nil))
		}
		if len(r.Headers) == 0 {
			r.Headers = [][2]string{}
		}
		if !reflect.DeepEqual(got, r) {
			t.Errorf("%s: got %v, want %v", name, got, r)
		}
	}
}

func TestRequest_SharesWhatBrowsersHaveInCommon(t *testing.T) {
	encode := func(url, cookie string) EncodedRequest {
		r := Request{Method: "GET", URL: url, Headers: [][2]string{{"Cookie", cookie}, {"Host", "a"}, {"User-Agent", "b"}}}
		return r.Encode()
	}
	if a, b := encode("http://a/cable", "x"), encode("http://a/cable", "y"); a.shared != b.shared || a.own == b.own {
		t.Errorf("got %v and %v", a, b)
	}
	if a, b := encode("http://a/cable?token=x", "x"), encode("http://a/cable?token=y", "x"); a.shared != b.shared || a.own == b.own {
		t.Errorf("with tokens in the URL: got %v and %v", a, b)
	}
}
