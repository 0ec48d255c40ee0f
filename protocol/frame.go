package protocol

import (
	"encoding/json"
	"strconv"
)

// Welcome is the first frame of a connection.
const Welcome = `{"type":"welcome"}`

// Ping returns the frame of a heartbeat. now is Unix time in seconds.
func Ping(now int64) []byte {
	return append(strconv.AppendInt([]byte(`{"type":"ping","message":`), now, 10), '}')
}

// Confirm returns the frame that confirms a subscription.
func Confirm(identifier string) []byte {
	return withIdentifier(identifier, `,"type":"confirm_subscription"}`)
}

// Reject returns the frame that rejects a subscription.
func Reject(identifier string) []byte {
	return withIdentifier(identifier, `,"type":"reject_subscription"}`)
}

// Message returns the frame of a broadcast or a transmission; message is JSON.
func Message(identifier string, message []byte) []byte {
	b := append(MessageHead(identifier), message...)
	return append(b, MessageTail)
}

// MessageHead returns what precedes the JSON of a message in its frame. A caller with
// many messages for one identifier builds it once.
func MessageHead(identifier string) []byte {
	return withIdentifier(identifier, `,"message":`)
}

// MessageTail follows the JSON of a message in its frame.
const MessageTail = '}'

func withIdentifier(identifier, rest string) []byte {
	b := append([]byte(`{"identifier":`), Quote(identifier)...)
	return append(b, rest...)
}

// Quote encodes a string as ActiveSupport::JSON does: it escapes HTML's special
// characters and the two line separators, as encoding/json does by default.
func Quote(s string) []byte {
	b, _ := json.Marshal(s) // cannot fail for a string
	return b
}
