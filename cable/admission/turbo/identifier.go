package turbo

import (
	"encoding/json"
	"strings"
)

const channel = "Turbo::StreamsChannel"

// SignedName returns the signed stream name in a subscription's identifier. It returns false if the
// identifier is not of turbo-rails' channel, or has another form: Rails decides about it.
func SignedName(identifier string) (signed string, ok bool) {
	if !strings.Contains(identifier, channel) {
		return "", false
	}
	var params map[string]any // not a struct: its field would match "Channel" too
	if json.Unmarshal([]byte(identifier), &params) != nil || params["channel"] != channel {
		return "", false
	}
	signed, ok = params["signed_stream_name"].(string)
	return signed, ok
}
