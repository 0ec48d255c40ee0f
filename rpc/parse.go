package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/catenary-cable/catenary/protocol"
)

// parseReply parses the answer to a POST.
func parseReply(text []byte) (*reply, error) {
	if !json.Valid(text) {
		return nil, errors.New("reading Rails' answer: invalid JSON")
	}
	c := &cursor{text: text}
	r := &reply{}
	var err error
	c.object(func(key string) {
		switch key {
		case "results":
			c.array(func() {
				var result Result
				c.object(func(key string) { err = errors.Join(err, result.parse(c, key)) })
				r.results = append(r.results, result)
			})
		case "settings":
			err = errors.Join(err, c.decode(&r.settings))
		default:
			c.skip()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading Rails' answer: %w", err)
	}
	return r, nil
}

// parse parses one field of a result.
func (r *Result) parse(c *cursor, key string) (err error) {
	switch key {
	case "status":
		r.Status, err = strconv.Atoi(string(c.raw()))
	case "headers":
		err = c.decode(&r.Headers)
	case "body":
		r.Body = c.string()
	case "need":
		r.Need = c.string()
	case "ops":
		r.Ops, err = parseOps(c)
	case "ver":
		r.Version = c.string()
	case "state":
		r.State = c.string()
	case "kept":
		r.Latest = string(c.raw()) == "true"
	case "tags":
		if c.peek() == '[' {
			r.Tags = []string{}
		}
		c.array(func() { r.Tags = append(r.Tags, c.string()) })
	case "id":
		r.ID = c.string()
	case "beat":
		err = c.decode(&r.Beat)
	case "raised":
		r.Raised = string(c.raw()) == "true"
	case "channels":
		r.Channels, err = parseChannels(c)
	case "warnings":
		err = c.decode(&r.Warnings)
	case "error":
		err = c.decode(&r.Error)
	default:
		c.skip()
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return err
}

func parseChannels(c *cursor) (channels map[string]*ChannelOutcome, err error) {
	c.object(func(identifier string) {
		if channels == nil {
			channels = map[string]*ChannelOutcome{}
		}
		if c.peek() != '{' {
			c.skip()
			channels[identifier] = nil
			return
		}
		outcome := &ChannelOutcome{}
		channels[identifier] = outcome
		c.object(func(key string) {
			switch key {
			case "state":
				outcome.State = c.string()
			case "timers":
				err = errors.Join(err, c.decode(&outcome.Timers))
			default:
				c.skip()
			}
		})
	})
	return channels, err
}

func parseOps(c *cursor) (ops []Op, err error) {
	c.array(func() {
		op, e := parseOp(c)
		ops = append(ops, op)
		err = errors.Join(err, e)
	})
	return ops, err
}

// parseOp parses ["kind", …]. The short forms (welcome, message, disconnect, and confirm and reject
// without a frame) become the frames that Rails would have written.
func parseOp(c *cursor) (op Op, err error) {
	var args [4][]byte
	n := 0
	c.array(func() {
		raw := c.raw()
		if n < len(args) {
			args[n] = raw
		}
		n++
	})
	arg := func(i int) string {
		if i >= n || args[i][0] != '"' {
			err = fmt.Errorf("op %s: argument %d is not a string", args[0], i)
			return ""
		}
		return (&cursor{text: args[i]}).string()
	}
	if n == 0 {
		return op, errors.New("op without a kind")
	}
	op.Kind = (&cursor{text: args[0]}).word()
	switch op.Kind {
	case OpSend:
		op.Frame = arg(1)
	case OpConfirm, OpReject:
		op.Identifier = arg(1)
		switch {
		case n > 2:
			op.Frame = arg(2)
		case op.Kind == OpConfirm:
			op.Frame = string(protocol.Confirm(op.Identifier))
		default:
			op.Frame = string(protocol.Reject(op.Identifier))
		}
	case OpSub:
		op.Identifier = arg(1)
		op.Stream = arg(2)
		if n > 3 && args[3][0] == '"' {
			token := arg(3)
			op.Token = &token
		}
	case OpUnsub:
		op.Identifier = arg(1)
		op.Stream = arg(2)
	case OpInternal:
		op.Stream = arg(1)
	case OpDrop:
		op.Identifier = arg(1)
	case OpChannel:
		op.Identifier = arg(1)
		op.Channel = arg(2)
		op.Event = arg(3)
	case OpClose:
	case "welcome":
		op = Op{Kind: OpSend, Frame: protocol.Welcome}
	case "message":
		if n < 3 {
			return op, fmt.Errorf("op %s: the message is missing", args[0])
		}
		op = Op{Kind: OpSend, Frame: string(protocol.Message(arg(1), args[2]))}
	case "disconnect":
		d := protocol.Disconnect{Reason: arg(1), Reconnect: n > 2 && string(args[2]) == "true"}
		op = Op{Kind: OpClose, Frame: string(d.Frame())}
	default:
		err = errors.Join(err, fmt.Errorf("unknown op %q: is the gem newer than catenary?", op.Kind))
	}
	return op, err
}

// incoming is a frame from Rails. Which fields it has depends on its kind; docs/rpc.md, "The link",
// lists them.
type incoming struct {
	kind       string // the key by which frames are told apart
	number     uint64
	connection string
	going      string
	text       string // of listening, broadcast and missed
	payload    string // of broadcast
	failed     string // of published: why Rails could not broadcast; "": it could
	result     Result
}

func parseIncoming(text []byte) (f *incoming, err error) {
	f = &incoming{}
	if !json.Valid(text) {
		return f, errors.New("frame is invalid JSON")
	}
	c := &cursor{text: text}
	c.object(func(key string) {
		switch key {
		case "call", "end", "sync", "pong", "published":
			f.kind = key
			f.number = c.number()
		case "conn": // also a field of sync, after its key
			f.connection = c.string()
			if f.kind == "" {
				f.kind = key
			}
		case "kept": // the kind if it is the first key, else a field of a result
			if f.kind == "" {
				f.kind = key
				f.connection = c.string()
			} else {
				err = errors.Join(err, f.result.parse(c, key))
			}
		case "going":
			f.kind = key
			f.going = c.string()
		case "listening", "broadcast", "missed":
			f.kind = key
			f.text = c.string()
		case "message":
			f.payload = c.string()
		case "failed":
			f.failed = c.string()
		case "bye", "hello":
			f.kind = key
			c.skip()
		default:
			err = errors.Join(err, f.result.parse(c, key))
		}
	})
	return f, err
}
