package turbo

import (
	"encoding/json"
	"strings"
)

const channel = "Turbo::StreamsChannel"

// SignedName returns the signed stream name in a subscription's identifier. It returns false if the
// identifier is not of turbo-rails' channel, or has another form: Rails decides about it.
func SignedName(identifier string) (signed string, ok bool) {
	signed, ok = params(identifier)["signed_stream_name"].(string)
	return signed, ok
}

// params returns the content of an identifier of turbo-rails' channel, and nil for any other.
func params(identifier string) map[string]any {
	if !strings.Contains(identifier, channel) {
		return nil
	}
	params := decodeParams(identifier)
	if params["channel"] != channel {
		return nil
	}
	return params
}

// decodeParams returns the content of any channel's identifier, and nil if it is not JSON.
func decodeParams(identifier string) map[string]any {
	var params map[string]any // not a struct: its field would match "Channel" too
	if json.Unmarshal([]byte(identifier), &params) != nil {
		return nil
	}
	return params
}
