package protocol

import "strings"

// Subprotocols that a server may choose, as Rails lists them. Both are served
// alike: it is the client that refuses "actioncable-unsupported".
const (
	V1JSON      = "actioncable-v1-json"
	Unsupported = "actioncable-unsupported"
)

// Negotiate returns the first of the browser's sub-protocols, in its order,
// that we speak, or "" if there is none; the connection is served all the same.
// offers are the values of the Sec-WebSocket-Protocol headers.
func Negotiate(offers []string) string {
	for _, header := range offers {
		for offer := range strings.SplitSeq(header, ",") {
			if offer = strings.TrimSpace(offer); offer == V1JSON || offer == Unsupported {
				return offer
			}
		}
	}
	return ""
}
