package bench

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// client is one connection with one subscription. One goroutine reads, and one at a time writes.
type client struct {
	number     int
	identifier string
	socket     *websocket.Conn
	timeout    time.Duration

	// Owned by the goroutine that reads.
	receipt  receipt
	lastPing time.Time
}

// subscribe returns when the server has confirmed the subscription.
func (c *client) subscribe() error {
	c.socket.SetReadDeadline(time.Now().Add(c.timeout))
	defer c.socket.SetReadDeadline(time.Time{})
	if err := c.await("welcome"); err != nil {
		return err
	}
	if err := c.send("subscribe", ""); err != nil {
		return err
	}
	return c.await("confirm_subscription")
}

// await reads until a frame of this type. It skips pings and what the channel transmits meanwhile.
func (c *client) await(kind string) error {
	for {
		_, text, err := c.socket.ReadMessage()
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			return fmt.Errorf("no %s within %v: does --identifier name a channel of the app? "+
				"Rails does not answer for an unknown one", kind, c.timeout)
		}
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", kind, err)
		}
		var frame struct{ Type, Reason string }
		if err := json.Unmarshal(text, &frame); err != nil {
			return fmt.Errorf("the server does not speak Action Cable: %w", err)
		}
		switch frame.Type {
		case kind:
			return nil
		case "reject_subscription":
			return errors.New("the channel rejected the subscription: is --identifier right?")
		case "disconnect":
			return fmt.Errorf("the server disconnected: %s", frame.Reason)
		}
	}
}

// perform runs an action of the channel. data is a JSON object.
func (c *client) perform(action, data string) error {
	member := `{"action":` + string(protocol.Quote(action))
	if data = data[1:]; data != "}" {
		member += ","
	}
	return c.send("message", `,"data":`+string(protocol.Quote(member+data)))
}

func (c *client) send(command, more string) error {
	c.socket.SetWriteDeadline(time.Now().Add(c.timeout))
	text := `{"command":"` + command + `","identifier":` + string(protocol.Quote(c.identifier)) + more + `}`
	if err := c.socket.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		return fmt.Errorf("sending %s: %w", command, err)
	}
	return nil
}

// listen passes every frame to receive until the socket closes. It uses a buffer only while it
// reads a frame, so that idle clients have none.
func (c *client) listen(buffers *sync.Pool, receive func(c *client, frame []byte)) {
	for {
		_, reader, err := c.socket.NextReader()
		if err != nil {
			return
		}
		buffer := buffers.Get().(*bytes.Buffer)
		buffer.Reset()
		_, err = buffer.ReadFrom(reader)
		if err == nil {
			receive(c, buffer.Bytes())
		}
		buffers.Put(buffer)
		if err != nil {
			return
		}
	}
}

func (c *client) close() { c.socket.Close() }
