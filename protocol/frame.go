package protocol

import (
	"encoding/json"
	"strconv"
)

// Welcome is the first frame of a connection.
const Welcome = `{"type":"welcome"}`

// Ping is the heartbeat. now is in seconds since 1970.
func Ping(now int64) []byte {
	return append(strconv.AppendInt([]byte(`{"type":"ping","message":`), now, 10), '}')
}

// Confirm tells the browser that the subscription is live.
func Confirm(identifier string) []byte {
	return about(identifier, `,"type":"confirm_subscription"}`)
}

// Reject tells the browser that the channel has refused the subscription.
func Reject(identifier string) []byte {
	return about(identifier, `,"type":"reject_subscription"}`)
}

// Message carries a broadcast or a transmission; message is JSON.
func Message(identifier string, message []byte) []byte {
	b := append(MessageHead(identifier), message...)
	return append(b, MessageTail)
}

// MessageHead and MessageTail are what stands before and after the JSON of a
// message, for those who splice many into the same frame.
func MessageHead(identifier string) []byte {
	return about(identifier, `,"message":`)
}

// MessageTail closes what MessageHead opens.
const MessageTail = '}'

func about(identifier, rest string) []byte {
	b := append([]byte(`{"identifier":`), Quote(identifier)...)
	return append(b, rest...)
}

// Quote writes a string as ActiveSupport::JSON does: HTML's special characters
// and the two line separators escaped, everything else as it is. That is
// also what encoding/json does by default.
func Quote(s string) []byte {
	b, _ := json.Marshal(s) // a string cannot fail
	return b
}
