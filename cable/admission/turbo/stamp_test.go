package turbo

import (
	"encoding/json"
	"testing"
	"time"
)

func TestStamps_ReadsWhatTheGemWrites(t *testing.T) {
	stamps := NewStamps("a secret")
	want := Stamp{"bm9uY2U", time.Unix(1_795_796_400, 0)}
	const text = "tp65dc.bm9uY2U.R8yhXHwxlLQhMaG2" // by stamps_test.rb
	if got := stamps.Sign(want); got != text {
		t.Errorf("signed: %s", got)
	}
	identifier := `{"channel":"Turbo::StreamsChannel","signed_stream_name":"x","catenary_stamp":"` + text + `"}`
	if stamp, problem := stamps.Read(identifier); problem != "" || stamp.Rendering != want.Rendering || !stamp.Time.Equal(want.Time) {
		t.Errorf("%+v %s", stamp, problem)
	}
}

func TestStamps_NamesTheProblem(t *testing.T) {
	stamps := NewStamps("a secret")
	now := time.Now()
	good := stamps.Sign(Stamp{"n", now})
	foreign := NewStamps("another secret").Sign(Stamp{"n", now})
	identifier := func(channel string, stamp any) string {
		text, _ := json.Marshal(map[string]any{"channel": channel, "catenary_stamp": stamp})
		return string(text)
	}
	for text, want := range map[string]string{
		identifier(channel, good):                         "",
		identifier("RoomChannel", good):                   "",
		identifier("RoomChannel", foreign):                Invalid,
		`{"channel":"RoomChannel"}`:                       NotTurbo,
		`{"channel":"RoomChannel","x":"catenary_stamp"}`:  NotTurbo,
		`{"channel":"RoomChannel","catenary_stamp":"a`:    NotTurbo,
		`{"channel":"RoomChannel","Turbo::StreamsChannel`: NotTurbo,
		`{"channel":"Turbo::StreamsChannel"}`:             Missing,
		identifier(channel, foreign):                      Invalid,
		identifier(channel, "0"+good):                     Invalid,
		identifier(channel, good+"0"):                     Invalid,
		identifier(channel, "x."+good):                    Invalid,
		identifier(channel, "."+good):                     Invalid,
		identifier(channel, ""):                           Invalid,
		identifier(channel, ".."):                         Invalid,
		identifier(channel, 7):                            Invalid,
		identifier(channel, nil):                          Invalid,
		identifier(channel, []string{good}):               Invalid,
	} {
		if _, problem := stamps.Read(text); problem != want {
			t.Errorf("%s: %q, want %q", text, problem, want)
		}
	}
}
