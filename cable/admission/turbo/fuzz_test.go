package turbo

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

// FuzzVerify checks that only names signed by the app are valid, whatever a browser sends.
func FuzzVerify(f *testing.F) {
	for _, text := range append(names, `"chat:1"`, `{"_rails":{"message":"ImNoYXQ6MiI=","exp":null,"pur":null}}`, `{"_rails":{"data":"a"}}`, "--", "") {
		f.Add(text)
	}
	key := []byte("a key")
	v := NewVerifier(key)
	f.Fuzz(func(t *testing.T, text string) {
		if stream, ok := v.Verify(text, time.Now()); ok {
			t.Errorf("%q is accepted as %q", text, stream)
		}
		data := base64.StdEncoding.EncodeToString([]byte(text))
		stream, ok := v.Verify(data+"--"+hex.EncodeToString(mac(key, data)), time.Now())
		if ok && (stream == "" || !json.Valid([]byte(text))) {
			t.Errorf("%q, signed by the app, is accepted as %q", text, stream)
		}
		identifier, _ := json.Marshal(map[string]string{"channel": channel, "signed_stream_name": text})
		if signed, ok := SignedName(string(identifier)); !ok || utf8.ValidString(text) && signed != text {
			t.Errorf("the name in %s is %q", identifier, signed)
		}
		SignedName(text)
	})
}
