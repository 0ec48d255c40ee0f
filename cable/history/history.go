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

// timeout bounds a Read from when it begins, and queueTimeout its wait for that.
const (
	timeout      = 5 * time.Second
	queueTimeout = 30 * time.Second
)

// readsAtOnce bounds the reads that are in flight, and chunk the broadcasts that one command of a read
// returns, and so their memory.
const (
	readsAtOnce = 16
	chunk       = 20
)

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
// streams without a position: everything, or an error. It also returns the positions up to which it
// has read.
func (h *History) Read(ctx context.Context, streams []string, request protocol.History) ([]Entry, map[string]protocol.Position, error) {
	if h == nil {
		return nil, nil, ErrNone
	}
	queued, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	select {
	case h.reads <- struct{}{}:
		defer func() { <-h.reads }()
	case <-queued.Done():
		return nil, nil, ErrUnavailable
	}
	ctx, cancel = context.WithTimeout(ctx, timeout)
	defer cancel()
	var all []Entry
	reached := map[string]protocol.Position{}
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
			return nil, nil, ErrUnknown
		}
		entries, at, err := h.read(ctx, rule, stream, position, request.Since, h.options.Bytes-bytes)
		if err != nil {
			return nil, nil, err
		}
		for _, entry := range entries {
			bytes += len(entry.Payload)
		}
		all = append(all, entries...)
		if at.Epoch != "" {
			reached[stream] = at
		}
	}
	if !kept {
		return nil, nil, ErrNone
	}
	return all, reached, nil
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

// read reads one stream, after a position if it has an epoch, else since a Unix second. It returns at
// most that many bytes of payloads, and the latest position when it began.
func (h *History) read(ctx context.Context, rule *Rule, stream string, after protocol.Position, since int64, bytes int) (
	entries []Entry, latest protocol.Position, err error,
) {
	fail := func(err error) ([]Entry, protocol.Position, error) { return nil, protocol.Position{}, err }
	head, kept, err := h.readChunk(ctx, stream, after)
	if err != nil {
		return fail(err)
	}
	latest = head.Position
	switch {
	case after.Epoch != "" && (after.Epoch != latest.Epoch || after.Offset > latest.Offset):
		return fail(ErrUnknown)
	case after.Epoch == "" && (time.Since(time.Unix(since, 0)) > rule.TTL || since <= head.began):
		return fail(ErrIncomplete)
	}
	next := after.Offset + 1 // the first that may not be missing
	old := after.Epoch == "" // the entries so far are from before since
	for next <= latest.Offset {
		for _, entry := range kept {
			switch {
			case entry.Position.Offset > latest.Offset: // the subscription gets it live
				continue
			case old && entry.sent < since:
				next = entry.Position.Offset + 1
				continue
			case entry.Position.Offset != next:
				return fail(ErrIncomplete)
			}
			old = false
			next++
			bytes -= len(entry.Payload)
			entries = append(entries, entry)
		}
		switch {
		case bytes < 0:
			return fail(ErrTooLong)
		case next > latest.Offset:
			return entries, latest, nil
		case len(kept) < chunk:
			return fail(ErrIncomplete)
		}
		head, kept, err = h.readChunk(ctx, stream, protocol.Position{Epoch: latest.Epoch, Offset: next - 1})
		if err != nil {
			return fail(err)
		}
		if head.Epoch != latest.Epoch {
			return fail(ErrIncomplete)
		}
	}
	return entries, latest, nil
}

// head is what is known of a stream: its latest position, and when its epoch began, if Redis may have
// lost broadcasts before that.
type head struct {
	protocol.Position
	began int64 // Unix second; 0: nothing was lost
}

// readChunk reads the head of a stream, and the first broadcasts after a position, from the start if it
// has no epoch.
func (h *History) readChunk(ctx context.Context, stream string, after protocol.Position) (at head, entries []Entry, err error) {
	entriesKey, headKey := keys(h.options.Prefix, stream)
	first := "-"
	if after.Epoch != "" {
		first = "(" + id(after.Offset)
	}
	var fields *redis.SliceCmd
	var kept *redis.XMessageSliceCmd
	_, err = h.options.Redis.TxPipelined(ctx, func(tx redis.Pipeliner) error {
		fields = tx.HMGet(ctx, headKey, "epoch", "offset", "began")
		kept = tx.XRangeN(ctx, entriesKey, first, "+", chunk)
		return nil
	})
	if err != nil {
		return head{}, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	at.Epoch, _ = fields.Val()[0].(string)
	offset, _ := fields.Val()[1].(string)
	began, _ := fields.Val()[2].(string)
	at.Offset, _ = strconv.ParseUint(offset, 10, 64)
	at.began, _ = strconv.ParseInt(began, 10, 64)
	return at, entriesOf(stream, at.Epoch, kept.Val()), nil
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
