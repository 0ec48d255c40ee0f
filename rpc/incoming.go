package rpc

import (
	"encoding/json"
	"errors"
)

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
