package protocol

import "strings"

// The sub-protocols that a server may choose, as Rails lists them. The server treats both
// alike; it is the client that closes a connection for which Unsupported was chosen.
const (
	V1JSON      = "actioncable-v1-json"
	Unsupported = "actioncable-unsupported"
)

// Negotiate returns the first known sub-protocol among the browser's offers, the values
// of its Sec-WebSocket-Protocol headers. If there is none it returns "", and the server
// accepts the connection all the same.
func Negotiate(offers []string) string {
	for _, header := range offers {
		for offer := range strings.SplitSeq(header, ",") {
			offer = strings.TrimSpace(offer)
			if offer == V1JSON || offer == Unsupported {
				return offer
			}
		}
	}
	return ""
}
