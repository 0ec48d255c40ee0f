package reading

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/protocol"
)

// When catenary decides something from a browser's bytes, it must read them as Ruby does, or leave
// the decision to Ruby. These fuzz tests compare both readings.

// ruby is a long-lived process that parses as Rails does.
var ruby = struct {
	sync.Mutex
	in  io.Writer
	out *bufio.Reader
}{}

const reading = `
require "active_support"
require "active_support/json"
require "rack"
require "base64"
$stdout.sync = true

def text(value) = value.is_a?(String) && value.dup.force_encoding(Encoding::UTF_8).valid_encoding? ? value.dup.force_encoding(Encoding::UTF_8) : nil

def read(kind, bytes)
  case kind
  when "command"
    data = ActiveSupport::JSON.decode(bytes.force_encoding(Encoding::UTF_8))
    return { read: false } unless data.is_a?(Hash)
    { read: true, command: text(data["command"]), identifier: text(data["identifier"]) }
  when "query"
    { read: true, token: text(Rack::Utils.parse_nested_query(bytes)["token"]) }
  when "cookie"
    { read: true, token: text(Rack::Utils.parse_cookies("HTTP_COOKIE" => bytes)["token"]) }
  end
rescue StandardError, SystemStackError => error
  { read: false, why: error.class.name }
end

while line = $stdin.gets
  kind, bytes = line.chomp.split(" ", 2)
  puts JSON.generate(read(kind, Base64.strict_decode64(bytes.to_s)))
end
`

// rubyReading is what Ruby has parsed; nil is what is not a valid string.
type rubyReading struct {
	Read                       bool
	Why                        string
	Command, Identifier, Token *string
}

func (r rubyReading) is(found *string, want string) bool {
	return r.Read && found != nil && *found == want
}

func readAsRuby(t *testing.T, kind, bytes string) (read rubyReading) {
	t.Helper()
	ruby.Lock()
	defer ruby.Unlock()
	if ruby.in == nil {
		command := exec.Command("ruby", "-e", reading)
		command.Stderr = os.Stderr
		in, err := command.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Skipf("Ruby is missing: %v", err)
		}
		ruby.in, ruby.out = in, bufio.NewReader(out) // Ruby exits when this process closes the pipe
	}
	io.WriteString(ruby.in, kind+" "+base64.StdEncoding.EncodeToString([]byte(bytes))+"\n")
	line, err := ruby.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("Ruby has exited: %v", err)
	}
	if err := json.Unmarshal(line, &read); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return read
}

func FuzzCommandAsRuby(f *testing.F) {
	for _, seed := range []string{
		`{"command":"subscribe","identifier":"{\"channel\":\"A\"}"}`, `{"comm\u0061nd":"mess\u0061ge","identifier":"\ud83d\ude00","data":"{}"}`,
		`/**/{"command":"subscribe","identifier":"a"}`, `{"command":"subscribe","identifier":"\ud800\u0041"}`, `{"command":"subscribe","identifier":"\udc00"}`,
		`{"command":"unsubscribe","command":"subscribe","identifier":"a","identifier":"\q"}`, `{"command":"subscribe","identifier":"a","x":NaN}`,
		`{"identifier":"a","command":"subscribe","x":` + strings.Repeat("[", 99) + strings.Repeat("]", 99) + `}`, `{"command":"subscribe","identifier":"` + "\u2028\ufffd" + `"}`,
		`{"json_class":"String","command":"subscribe","identifier":"2026-01-01"}`, ` {"command" : "subscribe" , "identifier" : "a\u0000" } `, `{"command":"subscribe","identifier":1e1}`,
		`{"command":"subscribe","identifier":"a","x":-0,"y":1E400}`, `[]`, `"subscribe"`, "\ufeff{}", `{"command":"subscribe","identifier":"\/\b\f\n\r\t\"\\"}`,
	} {
		f.Add(seed)
	}
	words := map[protocol.Kind]string{protocol.Subscribe: "subscribe", protocol.Unsubscribe: "unsubscribe", protocol.Perform: "message"}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return // the socket rejects invalid UTF-8
		}
		got := protocol.ParseCommand([]byte(text))
		if got.Kind == protocol.Unknown {
			return // Rails decides
		}
		read := readAsRuby(t, "command", text)
		if read.Why == "JSON::NestingError" || read.Why == "JSON::ParserError" && strings.Count(text, "[")+strings.Count(text, "{") > 100 {
			return // Ruby rejects it, and Rails ignores the command
		}
		if !read.is(read.Command, words[got.Kind]) || !read.is(read.Identifier, got.Identifier) {
			t.Errorf("%q: Go reads %s of %q, Ruby reads %+v", text, words[got.Kind], got.Identifier, read)
		}
	})
}

func FuzzQueryAsRuby(f *testing.F) {
	for _, seed := range []string{
		"token=a", "token=a&token=b", "x=1;token=a", "token=a;token=b", "token=a&x=1;token=b", "token[]=a&token=b", "[token]=a", "%74oken=a", "token=a%2Eb+c", "token=%", "%=1&token=a",
		"token", "token=&token=a", "+token=a", "&&token=a&", "a=b&%20token=c&token=d", "token%00=a", "token]=a&token=b", "token%5B%5D=a", "token=\xff", "a[b]=c&a=d&token=e",
	} {
		f.Add(seed)
	}
	places := token.Places{Query: "token"}
	f.Fuzz(func(t *testing.T, query string) {
		got, err := places.Find(&http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{}})
		if err != nil {
			return
		}
		read := readAsRuby(t, "query", query)
		if read.Read && utf8.ValidString(got) && !read.is(read.Token, got) {
			t.Errorf("%q: Go reads the token %q, Ruby reads %+v", query, got, read)
		}
	})
}

func FuzzCookieAsRuby(f *testing.F) {
	for _, seed := range []string{
		"token=a", "token=a; token=b", `token="a"; token=b`, `token="; token=b`, "a=token; token=b", "%74oken=a; token=b", "token =a; token=b", " token=a", "token=a%2Eb+c", "token=%",
		"token=a;token=b", "token", "token=", "a;token=b", "$Version=1; token=a", "token=a,token=b", "\ttoken=a", "token=a=b", "token=a b", "token=\xff", "TOKEN=a",
	} {
		f.Add(seed)
	}
	places := token.Places{Cookie: "token"}
	f.Fuzz(func(t *testing.T, cookie string) {
		if strings.ContainsAny(cookie, "\r\n\x00") {
			return // net/http rejects these
		}
		got, err := places.Find(&http.Request{URL: &url.URL{}, Header: http.Header{"Cookie": {cookie}}})
		if err != nil {
			return
		}
		read := readAsRuby(t, "cookie", cookie)
		if utf8.ValidString(got) && !read.is(read.Token, got) {
			t.Errorf("%q: Go reads the token %q, Ruby reads %+v", cookie, got, read)
		}
	})
}
