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

// Keeps reports whether a stream has a history.
func (h *History) Keeps(stream string) bool { return h != nil && h.rule(stream) != nil }

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
	case head.replaced:
		return fail(ErrIncomplete)
	case after.Epoch == "" && (head.now-since > int64(rule.TTL/time.Second) || since <= head.began || since <= head.started):
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

// head is what is known of a stream, and of the server that has it. Times are Unix seconds of Redis'
// clock.
type head struct {
	protocol.Position
	began    int64 // when the epoch began, if Redis may have lost broadcasts before that; 0: nothing was lost
	replaced bool  // a restart or a failover, since the latest broadcast, may have lost some
	started  int64 // when the server started: before that, it may have lost all that is known of the stream
	now      int64
}

// readScript reads the head of a stream, and the first broadcasts. KEYS: as the gem's script. ARGV: the
// first id, how many.
var readScript = redis.NewScript(`
	local server = string.match(redis.call("INFO", "replication"), "master_replid:(%w+)")
	local uptime = string.match(redis.call("INFO", "server"), "uptime_in_seconds:(%d+)")
	local now = redis.call("TIME")[1]
	local head = redis.call("HMGET", KEYS[2], "epoch", "offset", "began", "server")
	local replaced = head[1] and head[4] ~= server
	return {
		head[1] or "", head[2] or "0", head[3] or "0", replaced and "1" or "0",
		tostring(now - uptime), now, redis.call("XRANGE", KEYS[1], ARGV[1], "+", "COUNT", ARGV[2]),
	}`)

// readChunk reads the head of a stream, and the first broadcasts after a position, from the start if it
// has no epoch.
func (h *History) readChunk(ctx context.Context, stream string, after protocol.Position) (at head, entries []Entry, err error) {
	entriesKey, headKey := keys(h.options.Prefix, stream)
	first := "-"
	if after.Epoch != "" {
		first = strconv.FormatUint(after.Offset+1, 10) // Redis 6.2 has exclusive ranges; 0 means all
	}
	reply, err := readScript.Run(ctx, h.options.Redis, []string{entriesKey, headKey}, first, chunk).Slice()
	if err == nil && len(reply) != 7 {
		err = fmt.Errorf("an answer of %d parts", len(reply))
	}
	if err != nil {
		return head{}, nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	at.Epoch = text(reply[0])
	at.Offset, _ = strconv.ParseUint(text(reply[1]), 10, 64)
	at.began = integer(reply[2])
	at.replaced = text(reply[3]) == "1"
	at.started = integer(reply[4])
	at.now = integer(reply[5])
	return at, entriesOf(stream, at.Epoch, reply[6]), nil
}

// entriesOf returns the entries in the reply to XRANGE: pairs of an id, and a list of names and values.
func entriesOf(stream, epoch string, reply any) (entries []Entry) {
	all, _ := reply.([]any)
	for _, one := range all {
		pair, _ := one.([]any)
		if len(pair) != 2 {
			continue
		}
		number, _, _ := strings.Cut(text(pair[0]), "-")
		offset, _ := strconv.ParseUint(number, 10, 64)
		entry := Entry{Stream: stream, Position: protocol.Position{Epoch: epoch, Offset: offset}}
		fields, _ := pair[1].([]any)
		for i := 0; i+1 < len(fields); i += 2 {
			switch text(fields[i]) {
			case "p":
				entry.Payload = []byte(text(fields[i+1]))
			case "t":
				entry.sent = integer(fields[i+1])
			}
		}
		entries = append(entries, entry)
	}
	return entries
}

func text(reply any) string {
	t, _ := reply.(string)
	return t
}

func integer(reply any) int64 {
	n, _ := strconv.ParseInt(text(reply), 10, 64)
	return n
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
