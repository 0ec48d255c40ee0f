package history

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/redis/go-redis/v9"
)

// Options configure a History.
type Options struct {
	Redis  redis.UniversalClient // Run closes it
	Prefix *string               // broadcasts.channel_prefix; nil: none
	Bytes  int                   // most bytes of payloads that one Read returns
}

// Rule says what streams keep if their names match its pattern. The first rule that matches counts.
type Rule struct {
	Pattern string        // * stands for any text
	Limit   int           // broadcasts that a stream keeps
	TTL     time.Duration // how long it keeps them after the last one
}

// timeout bounds a Read.
const timeout = 5 * time.Second

// readsAtOnce bounds the reads that are in flight, and so their memory.
const readsAtOnce = 16

// History reads from Redis. A nil History has no streams.
type History struct {
	options Options
	reads   chan struct{} // a token for each read in flight
	rules   atomic.Pointer[[]Rule]
}

// New returns a History.
func New(options Options) *History {
	return &History{options: options, reads: make(chan struct{}, readsAtOnce)}
}

// Keep sets which streams have a history. Before the first call, none has.
func (h *History) Keep(rules []Rule) { h.rules.Store(&rules) }

// Run closes the client when ctx ends.
func (h *History) Run(ctx context.Context) error {
	if h == nil {
		return nil
	}
	<-ctx.Done()
	return h.options.Redis.Close()
}

// Entry is one broadcast.
type Entry struct {
	Stream   string
	Payload  []byte
	Position protocol.Position

	sent int64 // Unix second
}

// Reasons why a history cannot be sent. They are labels of a metric.
var (
	ErrNone        = errors.New("no_history")  // the streams have none
	ErrUnknown     = errors.New("unknown")     // the position is of another epoch, or ahead
	ErrIncomplete  = errors.New("incomplete")  // what follows the position is no longer kept
	ErrTooLong     = errors.New("too_long")    // too many bytes
	ErrUnavailable = errors.New("unavailable") // Redis did not answer in time
)

// Reasons returns the names of the errors above.
func Reasons() []string {
	return []string{
		ErrNone.Error(), ErrUnknown.Error(), ErrIncomplete.Error(), ErrTooLong.Error(), ErrUnavailable.Error(),
	}
}

// Reason returns the name of an error of Read's.
func Reason(err error) string {
	if errors.Is(err, ErrUnavailable) {
		return ErrUnavailable.Error()
	}
	return err.Error()
}

// Read returns what was broadcast on streams after the positions of a request, or since its time on
// streams without a position. It returns everything or an error.
func (h *History) Read(ctx context.Context, streams []string, request protocol.History) ([]Entry, error) {
	if h == nil {
		return nil, ErrNone
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-ctx.Done():
		return nil, ErrUnavailable
	}
	var all []Entry
	bytes, kept := 0, false
	for _, stream := range streams {
		rule := h.rule(stream)
		if rule == nil {
			continue
		}
		kept = true
		position, known := request.Streams[stream]
		switch {
		case !known && request.Since == 0:
			continue
		case known && position.Epoch == "":
			return nil, ErrUnknown
		}
		entries, err := h.read(ctx, rule, stream, position, request.Since)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			bytes += len(entry.Payload)
		}
		if bytes > h.options.Bytes {
			return nil, ErrTooLong
		}
		all = append(all, entries...)
	}
	if !kept {
		return nil, ErrNone
	}
	return all, nil
}

// rule returns the rule of a stream, or nil if it has no history.
func (h *History) rule(stream string) *Rule {
	rules := h.rules.Load()
	if rules == nil {
		return nil
	}
	for i := range *rules {
		if matches((*rules)[i].Pattern, stream) {
			return &(*rules)[i]
		}
	}
	return nil
}

// matches compares a name with a pattern, in which * stands for any text.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(parts) == 1 {
		return ok && rest == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, ok = strings.Cut(rest, part)
		if !ok {
			return false
		}
	}
	return strings.HasSuffix(rest, last)
}

// read reads one stream, after a position if it has an epoch, else since a Unix second.
func (h *History) read(ctx context.Context, rule *Rule, stream string, after protocol.Position, since int64) ([]Entry, error) {
	entriesKey, headKey := keys(h.options.Prefix, stream)
	first := "-"
	if after.Epoch != "" {
		first = "(" + id(after.Offset)
	}
	var head *redis.SliceCmd
	var kept *redis.XMessageSliceCmd
	_, err := h.options.Redis.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		head = tx.HMGet(ctx, headKey, "epoch", "offset")
		kept = tx.XRangeN(ctx, entriesKey, first, "+", int64(rule.Limit)+1)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	epoch, _ := head.Val()[0].(string)
	text, _ := head.Val()[1].(string)
	latest, _ := strconv.ParseUint(text, 10, 64)
	switch {
	case after.Epoch != "" && (after.Epoch != epoch || after.Offset > latest):
		return nil, ErrUnknown
	case after.Epoch == "" && time.Since(time.Unix(since, 0)) > rule.TTL:
		return nil, ErrIncomplete
	}
	entries := entriesOf(stream, epoch, kept.Val())
	next := after.Offset + 1 // the first that may not be missing
	if after.Epoch == "" {
		next = 1
		for len(entries) > 0 && entries[0].sent < since {
			next = entries[0].Position.Offset + 1
			entries = entries[1:]
		}
	}
	for _, entry := range entries {
		if entry.Position.Offset != next {
			return nil, ErrIncomplete
		}
		next++
	}
	if next != latest+1 {
		return nil, ErrIncomplete
	}
	return entries, nil
}

func entriesOf(stream, epoch string, messages []redis.XMessage) (entries []Entry) {
	for _, message := range messages {
		payload, _ := message.Values["p"].(string)
		second, _ := message.Values["t"].(string)
		number, _, _ := strings.Cut(message.ID, "-")
		sent, _ := strconv.ParseInt(second, 10, 64)
		offset, _ := strconv.ParseUint(number, 10, 64)
		entries = append(entries, Entry{
			Stream: stream, Payload: []byte(payload), Position: protocol.Position{Epoch: epoch, Offset: offset}, sent: sent,
		})
	}
	return entries
}

// keys returns the keys of a stream. Their hash tag puts both on the same node of a Cluster.
func keys(prefix *string, stream string) (entries, head string) {
	topic := stream
	if prefix != nil {
		topic = *prefix + ":" + stream
	}
	tagged := "{_catenary:history:" + topic + "}"
	return tagged, tagged + ":head"
}

func id(offset uint64) string { return strconv.FormatUint(offset, 10) + "-0" }
