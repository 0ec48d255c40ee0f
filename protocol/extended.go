package protocol

import (
	"encoding/json"
	"strconv"
)

// The sub-protocol "actioncable-v1-ext-json" adds to Action Cable's protocol. The browser sends
//
//	{"command":"subscribe","identifier":"…","history":{"since":1795451915,"streams":{"s":{"offset":12,"epoch":"…"}}}}
//	{"command":"history","identifier":"…","history":{…}}   the same for an existing subscription
//	{"command":"pong"}                                     never answered
//	{"command":"ping"}                                     answered by {"type":"pong"}
//
// and the server
//
//	{"identifier":"…","message":…,"stream_id":"s","epoch":"…","offset":13}   a broadcast with a number
//	{"identifier":"…","type":"confirm_history"}            everything that was missed has been sent
//	{"identifier":"…","type":"reject_history"}             nothing of it is sent

// Position is the number of a broadcast in its stream.
type Position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// History is what a browser asks for.
type History struct {
	Since   int64               // Unix time in seconds, for streams without a position; 0: none
	Streams map[string]Position // of the last broadcast that the browser has received
}

// A request for a history may have this many bytes and streams. A browser may have many requests, and
// each is kept until it can be answered.
const (
	maxHistoryBytes   = 8 << 10
	maxHistoryStreams = 100
)

// ParseHistory parses the "history" of a command. It returns false if that is not valid, or too long.
func ParseHistory(text string) (h History, ok bool) {
	if len(text) > maxHistoryBytes {
		return History{}, false
	}
	var parsed struct {
		Since   json.Number
		Streams map[string]Position
	}
	err := json.Unmarshal([]byte(text), &parsed)
	if err != nil || len(parsed.Streams) > maxHistoryStreams {
		return History{}, false
	}
	h.Streams = parsed.Streams
	if parsed.Since != "" {
		h.Since, err = strconv.ParseInt(parsed.Since.String(), 10, 64)
	}
	return h, err == nil && (h.Since > 0 || len(h.Streams) > 0)
}

// extendedCommand returns the name of a command that only the extended sub-protocol has, or "".
func extendedCommand(name []byte) string {
	switch string(name) {
	case "ping", "pong", "history", "presence", "whisper", "join", "leave":
		return string(name)
	}
	return ""
}

// Pong answers a browser's ping.
const Pong = `{"type":"pong"}`

// ConfirmHistory returns the frame that follows a history.
func ConfirmHistory(identifier string) []byte {
	return withIdentifier(identifier, `,"type":"confirm_history"}`)
}

// RejectHistory returns the frame that a browser gets instead of a history.
func RejectHistory(identifier string) []byte {
	return withIdentifier(identifier, `,"type":"reject_history"}`)
}

// NoPresence returns the answer to a browser that asks who is present.
func NoPresence(identifier string) []byte {
	return withIdentifier(identifier, `,"type":"presence","message":{"type":"error","total":0}}`)
}

// Numbered returns the frame of a broadcast with its number.
func Numbered(identifier string, message []byte, stream string, at Position) []byte {
	b := append(MessageHead(identifier), message...)
	b = append(append(b, `,"stream_id":`...), Quote(stream)...)
	b = append(append(b, `,"epoch":`...), Quote(at.Epoch)...)
	b = strconv.AppendUint(append(b, `,"offset":`...), at.Offset, 10)
	return append(b, '}')
}
