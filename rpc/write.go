package rpc

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
)

// appendRequest appends the body of a POST. Like parseReply, it uses no reflection, which would cost
// more than the rest of a call.
func appendRequest(b []byte, node string, calls []Call) []byte {
	b = append(b, `{"v":1,"node":`...)
	b = appendText(b, node)
	b = append(b, `,"calls":[`...)
	for i := range calls {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCall(b, &calls[i])
	}
	return append(b, "]}"...)
}

// appendNumbered appends a call as the JSON of a link's frame.
func appendNumbered(b []byte, number uint64, c *Call) []byte {
	b = strconv.AppendUint(append(b, `{"call":`...), number, 10)
	at := len(b)
	b = appendCall(b, c)
	b[at] = ',' // instead of the call's opening brace
	return b
}

// appendCall appends a call, short or full.
func appendCall(b []byte, c *Call) []byte {
	if c.Encoded != nil {
		return append(b, c.Encoded...)
	}
	b = appendText(append(b, `{"conn":`...), c.Connection)
	b = appendText(append(b, `,"do":`...), c.Do)
	b = appendField(b, `,"ver":`, c.Version)
	b = appendField(b, `,"traceparent":`, c.traceparent)
	if len(c.Frames) > 0 {
		b = appendTexts(append(b, `,"frames":`...), c.Frames)
	}
	switch c.Do {
	case Tick:
		b = appendText(append(b, `,"channel":`...), c.Channel)
		b = strconv.AppendInt(append(b, `,"timer":`...), int64(c.Timer), 10)
	case Deliver:
		b = appendText(append(b, `,"channel":`...), c.Channel)
		b = appendText(append(b, `,"stream":`...), c.Stream)
		b = appendText(append(b, `,"payload":`...), c.Payload)
	case Close:
		if c.Code != 0 {
			b = strconv.AppendInt(append(b, `,"code":`...), int64(c.Code), 10)
		}
		b = appendField(b, `,"text":`, c.Text)
		if c.Failed {
			b = append(b, `,"failed":true`...)
		}
	}
	if !c.Request.IsZero() {
		b = c.Request.AppendTo(append(b, `,"request":`...))
		b = appendText(append(b, `,"protocol":`...), c.Protocol)
		b = appendField(b, `,"state":`, c.State)
		b = appendTexts(append(b, `,"tags":`...), c.Tags)
		b = appendChannels(append(b, `,"channels":`...), c.Channels)
		if c.Identities != nil {
			b = append(append(b, `,"identities":`...), c.Identities...)
		}
	}
	return append(b, '}')
}

// appendChannels keeps the order of channels: Rails runs unsubscribed in it.
func appendChannels(b []byte, channels []Channel) []byte {
	b = append(b, '{')
	for i, channel := range channels {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, channel.Identifier), `:{"streams":`...)
		streams, _ := json.Marshal(channel.Streams) // strings always marshal
		b = append(b, streams...)
		b = append(appendField(b, `,"state":`, channel.State), '}')
	}
	return append(b, '}')
}

// appendField appends a field, unless its value is empty.
func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendText(append(b, key...), value)
}

func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, text := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, text)
	}
	return append(b, ']')
}

// appendText appends a JSON string, escaping as little as possible.
func appendText(b []byte, text string) []byte {
	if !utf8.ValidString(text) { // a header, say: json replaces what is invalid
		replaced, _ := json.Marshal(text)
		return append(b, replaced...)
	}
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		b = append(b, text[start:i]...)
		if c < ' ' {
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		} else {
			b = append(b, '\\', c)
		}
		start = i + 1
	}
	return append(append(b, text[start:]...), '"')
}
