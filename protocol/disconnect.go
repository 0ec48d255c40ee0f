package protocol

import (
	"encoding/json"
	"fmt"
)

// Reasons that Rails sends and every client knows.
const (
	Unauthorized  = "unauthorized"
	ServerRestart = "server_restart"
	Remote        = "remote"
)

// Disconnect is why and how the server closes a connection. It is an error, so that one
// value can be the cause of a context, the reason in logs and metrics, and the browser's
// last frame.
type Disconnect struct {
	Reason    string
	Reconnect bool
}

func (d Disconnect) Error() string {
	return fmt.Sprintf("disconnect: %s (reconnect: %t)", d.Reason, d.Reconnect)
}

// Frame returns the browser's last frame.
func (d Disconnect) Frame() []byte {
	b := append([]byte(`{"type":"disconnect","reason":`), Quote(d.Reason)...)
	if d.Reconnect {
		return append(b, `,"reconnect":true}`...)
	}
	return append(b, `,"reconnect":false}`...)
}

// ParseRemote parses a message that Rails has published on a connection's internal stream.
// It returns false for anything but a disconnect. A missing "reconnect" (before Rails 7.1)
// means true, as in actioncable/lib/action_cable/connection/internal_channel.rb.
func ParseRemote(payload []byte) (d Disconnect, ok bool) {
	var message struct {
		Type      string
		Reconnect *bool
	}
	if json.Unmarshal(payload, &message) != nil || message.Type != "disconnect" {
		return Disconnect{}, false
	}
	return Disconnect{Reason: Remote, Reconnect: message.Reconnect == nil || *message.Reconnect}, true
}
