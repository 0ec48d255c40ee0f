package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/catenary-cable/catenary/protocol"
)

// parseReply reads Rails' answer.
func parseReply(text []byte) (*Reply, error) {
	if !json.Valid(text) {
		return nil, errors.New("reading Rails' answer: it is no JSON")
	}
	c := &cursor{text: text}
	reply := &Reply{}
	var err error
	c.object(func(key string) {
		switch key {
		case "boot":
			reply.Boot = c.string()
		case "results":
			c.array(func() {
				result, e := parseResult(c)
				reply.Results, err = append(reply.Results, result), errors.Join(err, e)
			})
		case "settings":
			err = errors.Join(err, c.decode(&reply.Settings))
		default:
			c.skip()
		}
	})
	if err != nil {
		return nil, fmt.Errorf("reading Rails' answer: %w", err)
	}
	return reply, nil
}

func parseResult(c *cursor) (r Result, err error) {
	c.object(func(key string) {
		var e error
		switch key {
		case "status":
			r.Status, e = strconv.Atoi(string(c.raw()))
		case "headers":
			e = c.decode(&r.Headers)
		case "body":
			r.Body = c.string()
		case "need":
			r.Need = c.string()
		case "ops":
			r.Ops, e = parseOps(c)
		case "ver":
			r.Version = c.string()
		case "state":
			r.State = c.string()
		case "kept":
			r.Kept = string(c.raw()) == "true"
		case "tags":
			e = c.decode(&r.Tags)
		case "id":
			r.ID = c.string()
		case "channels":
			e = parseChannels(c, &r)
		case "warnings":
			e = c.decode(&r.Warnings)
		case "error":
			e = c.decode(&r.Error)
		default:
			c.skip()
		}
		if e != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", key, e))
		}
	})
	return r, err
}

func parseChannels(c *cursor, r *Result) (err error) {
	c.object(func(identifier string) {
		if r.Channels == nil {
			r.Channels = map[string]*ChannelOutcome{}
		}
		if c.peek() != '{' {
			c.skip()
			r.Channels[identifier] = nil
			return
		}
		outcome := &ChannelOutcome{}
		r.Channels[identifier] = outcome
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
	return err
}

func parseOps(c *cursor) (ops []Op, err error) {
	c.array(func() {
		op, e := parseOp(c)
		ops, err = append(ops, op), errors.Join(err, e)
	})
	return ops, err
}

// parseOp reads ["kind", …], and turns the short forms that backends in other
// languages may use into the frames that Rails would have written.
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
			err = fmt.Errorf("the op %s lacks a text as argument %d", args[0], i)
			return ""
		}
		return (&cursor{text: args[i]}).string()
	}
	op.Kind = arg(0)
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
		op.Identifier, op.Stream = arg(1), arg(2)
		if n > 3 && args[3][0] == '"' {
			token := arg(3)
			op.Token = &token
		}
	case OpUnsub:
		op.Identifier, op.Stream = arg(1), arg(2)
	case OpPublish:
		op.Stream, op.Frame = arg(1), arg(2)
	case OpInternal:
		op.Stream = arg(1)
	case OpDrop:
		op.Identifier = arg(1)
	case OpClose:
	case "welcome":
		op = Op{Kind: OpSend, Frame: protocol.Welcome}
	case "message":
		if n < 3 {
			return op, fmt.Errorf("the op %s lacks its message", args[0])
		}
		op = Op{Kind: OpSend, Frame: string(protocol.Message(arg(1), args[2]))}
	case "disconnect":
		d := protocol.Disconnect{Reason: arg(1), Reconnect: n > 2 && string(args[2]) == "true"}
		op = Op{Kind: OpClose, Frame: string(d.Frame())}
	default:
		err = errors.Join(err, fmt.Errorf("the op %q is unknown: is the gem newer than catenary?", op.Kind))
	}
	return op, err
}

// ParseLate reads what the gem publishes on the node's stream.
func ParseLate(payload []byte) (late Late, err error) {
	if !json.Valid(payload) {
		return late, errors.New("it is no JSON")
	}
	c := &cursor{text: payload}
	c.object(func(key string) {
		switch key {
		case "conn":
			late.Connection = c.string()
		case "after":
			late.After, _ = strconv.ParseInt(string(c.raw()), 10, 64)
		case "seq":
			late.Seq, _ = strconv.ParseInt(string(c.raw()), 10, 64)
		case "from":
			late.From, _ = strconv.Atoi(string(c.raw()))
		case "ops":
			late.Ops, err = parseOps(c)
		default:
			c.skip()
		}
	})
	return late, err
}
