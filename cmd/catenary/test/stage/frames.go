package stage

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Command is a browser's text; data nil leaves it out.
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

// Confirmation is what a server says when a subscription is live.
func Confirmation(identifier string) string {
	quoted, _ := json.Marshal(identifier)
	return fmt.Sprintf(`{"identifier":%s,"type":"confirm_subscription"}`, quoted)
}

// About is a frame about an identifier.
func About(identifier, rest string) string {
	quoted, _ := json.Marshal(identifier)
	return `{"identifier":` + string(quoted) + "," + rest + "}"
}

// Quoted is a text as JSON.
func Quoted(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// MessageFor is a frame with a message, which is JSON, for an identifier.
func MessageFor(identifier, message string) string {
	return strings.TrimSuffix(Confirmation(identifier), `"type":"confirm_subscription"}`) + `"message":` + message + "}"
}
