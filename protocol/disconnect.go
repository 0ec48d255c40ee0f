package protocol

import (
	"encoding/json"
	"fmt"
)

// Reasons that Rails gives and that every client knows.
const (
	Unauthorized  = "unauthorized"
	ServerRestart = "server_restart"
	Remote        = "remote"
)

// Disconnect is the end of a connection, decided by the server. It is an
// error so that one value can be the cause of a context, the reason in a log
// and in a metric, and the browser's last frame.
type Disconnect struct {
	Reason    string
	Reconnect bool
}

func (d Disconnect) Error() string {
	return fmt.Sprintf("disconnect: %s (reconnect: %t)", d.Reason, d.Reconnect)
}

// Frame is the browser's last frame.
func (d Disconnect) Frame() []byte {
	b := append([]byte(`{"type":"disconnect","reason":`), Quote(d.Reason)...)
	if d.Reconnect {
		return append(b, `,"reconnect":true}`...)
	}
	return append(b, `,"reconnect":false}`...)
}

// ParseRemote reads what Rails publishes on a connection's internal stream;
// ok is false if it asks for no disconnect. Before Rails 7.1 the message has
// no "reconnect", which means true, as in
// actioncable/lib/action_cable/connection/internal_channel.rb.
func ParseRemote(payload []byte) (d Disconnect, ok bool) {
	message := struct {
		Type      string
		Reconnect *bool
	}{}
	if json.Unmarshal(payload, &message) != nil || message.Type != "disconnect" {
		return Disconnect{}, false
	}
	return Disconnect{Reason: Remote, Reconnect: message.Reconnect == nil || *message.Reconnect}, true
}
