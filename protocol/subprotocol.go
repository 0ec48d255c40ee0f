package protocol

import "strings"

// The sub-protocols that a server may choose. The server treats Rails' two
// alike; it is the client that closes a connection for which Unsupported was chosen.
const (
	V1JSON      = "actioncable-v1-json"
	V1ExtJSON   = "actioncable-v1-ext-json" // AnyCable's, see extended.go; Rails does not know it
	Unsupported = "actioncable-unsupported"
)

// Negotiate returns the first known sub-protocol among the browser's offers, the values
// of its Sec-WebSocket-Protocol headers. If there is none it returns "", and the server
// accepts the connection all the same.
func Negotiate(offers []string) string {
	for _, header := range offers {
		for offer := range strings.SplitSeq(header, ",") {
			switch strings.TrimSpace(offer) {
			case V1JSON:
				return V1JSON // not offer, which would keep the header in memory
			case V1ExtJSON:
				return V1ExtJSON
			case Unsupported:
				return Unsupported
			}
		}
	}
	return ""
}
