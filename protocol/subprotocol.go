package protocol

import "strings"

// Sub-protocols that a server may choose, as Rails lists them. The server treats both
// alike; a client closes a connection with "actioncable-unsupported".
const (
	V1JSON      = "actioncable-v1-json"
	Unsupported = "actioncable-unsupported"
)

// Negotiate returns the first sub-protocol that the browser offers and the server speaks,
// or "". The server accepts the connection in any case. offers are the values of the
// Sec-WebSocket-Protocol headers.
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
