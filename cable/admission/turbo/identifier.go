package turbo

import (
	"encoding/json"
	"strings"
)

const channel = "Turbo::StreamsChannel"

// SignedName returns the signed name in a subscription's identifier, if it is
// one of turbo-rails' channel and of its form. All else is for Rails to say.
func SignedName(identifier string) (signed string, ok bool) {
	if !strings.Contains(identifier, channel) {
		return "", false
	}
	var params map[string]any // and no struct, which would take "Channel" for "channel"
	if json.Unmarshal([]byte(identifier), &params) != nil || params["channel"] != channel {
		return "", false
	}
	signed, ok = params["signed_stream_name"].(string)
	return signed, ok
}
