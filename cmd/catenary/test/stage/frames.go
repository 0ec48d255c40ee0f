package stage

import (
	"encoding/json"
)

// Command returns a command as browsers send it, without data if that is nil.
func Command(name, identifier string, data any) string {
	text, _ := json.Marshal(struct {
		Command    string `json:"command"`
		Identifier string `json:"identifier"`
		Data       any    `json:"data,omitempty"`
	}{name, identifier, data})
	return string(text)
}

const (
	Unauthorized = `{"type":"disconnect","reason":"unauthorized","reconnect":false}`
	Welcome      = `{"type":"welcome"}`
)

// Confirmation returns the frame that a server sends when a subscription is live.
func Confirmation(identifier string) string {
	return About(identifier, `"type":"confirm_subscription"`)
}

// About returns a frame for an identifier. rest are its other members.
func About(identifier, rest string) string {
	return `{"identifier":` + Quoted(identifier) + "," + rest + "}"
}

// Quoted returns a text as JSON.
func Quoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// MessageFor returns a frame with a message, which is JSON, for an identifier.
func MessageFor(identifier, message string) string {
	return About(identifier, `"message":`+message)
}
