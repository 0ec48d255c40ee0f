package turbo

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"
)

// Whatever a browser sends, and whatever the app has signed, there is an answer,
// and a name only of what the app has signed.
func FuzzVerify(f *testing.F) {
	for _, text := range append(names, `"chat:1"`, `{"_rails":{"message":"ImNoYXQ6MiI=","exp":null,"pur":null}}`, `{"_rails":{"data":"a"}}`, "--", "") {
		f.Add(text)
	}
	key := []byte("a key")
	v := NewVerifier(key)
	f.Fuzz(func(t *testing.T, text string) {
		if stream, ok := v.Verify(text, time.Now()); ok {
			t.Errorf("%q is taken for %q", text, stream)
		}
		data := base64.StdEncoding.EncodeToString([]byte(text))
		stream, ok := v.Verify(data+"--"+hex.EncodeToString(mac(key, data)), time.Now())
		if ok && (stream == "" || !json.Valid([]byte(text))) {
			t.Errorf("what the app has signed, %q, is taken for %q", text, stream)
		}
		identifier, _ := json.Marshal(map[string]string{"channel": channel, "signed_stream_name": text})
		if signed, ok := SignedName(string(identifier)); !ok || utf8.ValidString(text) && signed != text {
			t.Errorf("of %s the name is %q", identifier, signed)
		}
		SignedName(text)
	})
}
