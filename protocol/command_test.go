package protocol

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"
)

// FuzzUnquote checks that Unquote decodes as encoding/json does.
func FuzzUnquote(f *testing.F) {
	for _, text := range []string{`""`, `"a"`, `"\"\\\/\b\f\n\r\t"`, `"{\"channel\":\"Chat\"}"`, `"\u00e9\ud83d\ude00"`, `"é\n"`, `"\ud800\""`, `7`, "\"\xff\\n\""} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		if !json.Valid(value) || bytes.ContainsAny(value[:1], " \t\r\n") {
			return
		}
		value = bytes.TrimRight(value, " \t\r\n")
		var want string
		isString := json.Unmarshal(value, &want) == nil && value[0] == '"'
		got, ok := Unquote(value)
		if ok != isString || ok && got != want && (utf8.Valid(value) || bytes.Contains(value, []byte(`\`))) {
			t.Errorf("%s: got %q %t, want %q %t", value, got, ok, want, isString)
		}
	})
}
