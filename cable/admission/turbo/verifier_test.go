package turbo

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

// keys and names are what Rails derives from secret_key_base.
var (
	secretKeyBase = strings.Repeat("0123456789abcdef", 8)
	names         = []string{ // chat:1, signed
		"ImNoYXQ6MSI=--20c695f4ef539db0aa40b62f363f2e05b893063a1b13299c8fb086c49759ac23",
		"ImNoYXQ6MSI=--149a31c29a0af5f8a6b066a2e4b71d30859d8eb58d2e35779a1e899c7f7aaa5e",
	}
	keys = []string{
		"7abcd5758752313f1d691ad878b93c5c7e9bf71bd853e9b10c3d2861233525e898d0a04aae89abc8b5da1e1ccbd749cccb3a93a9900de3d53189b40191b5a460",
		"f2162065152bf45163868492b2f081295f938a68f7a18b6d40bc9d15e94b8ea0819b3011cf2f3c1b9228b8e722f706453e0257e9da2530eee8d59875740244a1",
	}
)

func TestVerify_AcceptsNamesSignedByRails(t *testing.T) {
	for i, key := range Keys(secretKeyBase) {
		if hex.EncodeToString(key) != keys[i] {
			t.Errorf("key %d is %x", i, key)
		}
		for j, name := range names {
			stream, ok := NewVerifier(key).Verify(name, time.Now())
			if ok != (i == j) || ok && stream != "chat:1" {
				t.Errorf("key %d, name %d: %q %t", i, j, stream, ok)
			}
		}
	}
}

func TestVerify_RejectsOtherNames(t *testing.T) {
	key := []byte("a key")
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sign := func(data string) string { return data + "--" + hex.EncodeToString(mac(key, data)) }
	json := func(text string) string { return sign(base64.StdEncoding.EncodeToString([]byte(text))) }
	good := json(`"chat:1"`)
	for signed, want := range map[string]string{
		good: "chat:1",
		json(`{"_rails":{"message":"ImNoYXQ6MiI=","exp":"2026-01-01T00:00:01.000Z","pur":null}}`): "chat:2",
		json(`{"_rails":{"message":"ImNoYXQ6MiI=","exp":"2026-01-01T00:00:00.000Z","pur":null}}`): "",
		json(`{"_rails":{"message":"ImNoYXQ6MiI=","exp":null,"pur":"login"}}`):                    "",
		json(`{"_rails":{"data":"chat:2","exp":"2099-01-01T00:00:00.000Z"}}`):                     "chat:2",
		json(`{"_rails":{"data":"chat:2","exp":"soon"}}`):                                         "",
		json(`{"_rails":{}}`):              "",
		json(`{"_rails":null}`):            "",
		json(`null`):                       "",
		json(`7`):                          "",
		json(`["chat:1"]`):                 "",
		json(`""`):                         "",
		json(`"chat:1`):                    "",
		sign("ImNo\nYXQ6MSI="):             "",
		sign("ImNoYXQ6MSI"):                "",
		sign(""):                           "",
		strings.ToUpper(good):              "",
		good + "--x":                       "",
		"x" + good:                         "",
		"ImNoYXQ6MSI=":                     "",
		"--":                               "",
		"":                                 "",
		"catenary turbo v1--" + Check(key): "",
	} {
		if stream, ok := NewVerifier(key).Verify(signed, now); stream != want || ok != (want != "") {
			t.Errorf("%s: %q %t", signed, stream, ok)
		}
	}
}

func TestSignedName_ReadsIdentifiersOfTurbosChannelOnly(t *testing.T) {
	for identifier, want := range map[string]string{
		`{"channel":"Turbo::StreamsChannel","signed_stream_name":"x","room":1}`:                 "x",
		`{"signed_stream_name":"a","channel":"Turbo::StreamsChannel","signed_stream_name":"b"}`: "b",
		`{"channel":"Turbo::StreamsChannel"}`:                                                   "",
		`{"channel":"Turbo::StreamsChannel","signed_stream_name":["x"]}`:                        "",
		`{"Channel":"Turbo::StreamsChannel","signed_stream_name":"x"}`:                          "",
		`{"channel":"::Turbo::StreamsChannel","signed_stream_name":"x"}`:                        "",
		`{"channel":"Turbo::StreamsChannelX","signed_stream_name":"x"}`:                         "",
		`{"channel":"Turbo::StreamsChannel","signed_stream_name":"x"`:                           "",
		`["Turbo::StreamsChannel"]`:                                                             "",
	} {
		if signed, ok := SignedName(identifier); signed != want || ok != (want != "") {
			t.Errorf("%s: %q %t", identifier, signed, ok)
		}
	}
}
