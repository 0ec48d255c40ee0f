package audit

import (
	"fmt"
	"slices"
)

// streamBlocks finds streams whose messages only this channel's Ruby can
// deliver: with a block, a callback or a coder. Mirrors ChannelStreams of the
// gem, which decides the same when the stream is opened.
func streamBlocks(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if code := p.blockStream(i); code != "" && (p.receiver(i) == "self" || p.receiver(i) == "channel") {
			found = append(found, p.finding("stream blocks", i, Pinned, code, pinnedMeans, s.pinnedAdvice()))
		}
		if p.spells(i, "pubsub", ".", "subscribe") {
			found = append(found, p.finding("stream blocks", i, Pinned, "pubsub.subscribe", "a handler of its own: "+pinnedMeans, s.pinnedAdvice()))
		}
	})
	return found
}

const pinnedMeans = "Ruby runs for every broadcast, on the object in the Rails process that opened the stream; when that process goes, the browser is told to reconnect"

func (s subject) pinnedAdvice() string { return pin + ", or " + s.passThrough() }

// blockStream says what makes the stream_from or stream_for at i one that
// needs Ruby; "" if nothing does.
func (s *source) blockStream(i int) string {
	t := s.tokens[i]
	if t.kind != identifier || t.text != "stream_from" && t.text != "stream_for" && t.text != "stream_or_reject_for" || s.at(i-1).is(keyword, "def") {
		return ""
	}
	c := s.call(i)
	switch coder, has := c.labels["coder"]; {
	case c.block:
		return t.text + " with a block"
	case len(c.positional) > 1 && !s.spells(c.positional[1].first, "nil"):
		return t.text + " with a callback"
	case has && s.text(coder) != "nil" && s.text(coder) != "ActiveSupport::JSON" && s.text(coder) != "::ActiveSupport::JSON":
		return t.text + " with coder " + s.text(coder)
	case c.splat:
		return t.text + " with arguments that only Ruby knows"
	}
	return ""
}

// streamsForChannel finds streams with a block that code outside of channels
// opens for one.
func streamsForChannel(s *source) []Finding {
	var found []Finding
	for i := range s.tokens {
		if receiver := s.receiver(i); receiver == "self" || receiver == "channel" && inChannels(s) {
			continue
		}
		if code := s.blockStream(i); code != "" {
			found = append(found, s.finding("stream blocks", i, Pinned, code, "the channel that it is opened for is pinned: "+pinnedMeans, pin+", or pass_through: that channel"))
		}
	}
	return found
}

// handedOver finds channels that give themselves to a class that opens streams
// with a block for them.
func handedOver(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if p.tokens[i].kind != constant || p.at(i-1).is(operator, "::") {
			return
		}
		name, next := p.constantAt(i)
		end := p.expression(i, false)
		if !p.givesSelf(next, end) {
			return
		}
		class := s.app.resolve(name, s.class.name)
		if class == nil {
			return
		}
		for _, other := range class.parts {
			for _, block := range streamsForChannel(other.source) {
				if block.module == other.scope {
					found = append(found, p.finding("stream blocks", i, Pinned, name+" gets the channel", fmt.Sprintf("at %s:%d it opens a %s: %s", block.File, block.Line, block.Code, pinnedMeans), s.pinnedAdvice()))
					return
				}
			}
		}
	})
	return found
}

// givesSelf says whether self is an argument in a chain of calls.
func (s *source) givesSelf(first, end int) bool {
	for i := first; i < end; i++ {
		if !s.tokens[i].is(keyword, "self") || s.at(i+1).is(operator, ".") {
			continue
		}
		if last := s.at(i - 1); last.is(operator, "(") || last.is(operator, ",") || last.kind == label || last.kind == identifier && s.tokens[i].spaced {
			return true
		}
	}
	return false
}

// overridable are the methods that handle a broadcast on its way to the
// browser. Mirrors ChannelStreams::DELIVERY of the gem.
var overridable = []string{"transmit", "stream_handler", "default_stream_handler", "stream_transmitter", "worker_pool_stream_handler"}

// deliveries finds channels that see every message of theirs, because they
// define a method that Rails delivers with.
func deliveries(s subject) []Finding {
	var found []Finding
	for _, c := range s.line {
		methods := c.methods()
		for _, name := range overridable {
			if at, ok := methods[name]; ok {
				found = append(found, Finding{Rule: "delivery", File: at.file, Line: at.line, Runs: Pinned, Code: "def " + name,
					Means: "every message goes through it: " + pinnedMeans, Advice: s.pinnedAdvice()})
			}
		}
	}
	return found
}

// connectionDelivery finds a connection that sees every frame.
func connectionDelivery(s subject) []Finding {
	for _, c := range s.line {
		if at, ok := c.methods()["transmit"]; ok {
			return []Finding{{Rule: "delivery", File: at.file, Line: at.line, Runs: Pinned, Code: "def transmit",
				Means: "every frame of every channel goes through it: " + pinnedMeans, Advice: pin + ", or change: do it where the message is made"}}
		}
	}
	return nil
}

// overriddenForAll finds what a file outside of the channels puts into Rails'
// own classes and so into all channels and connections.
func overriddenForAll(s *source) []Finding {
	if inChannels(s) {
		return nil
	}
	channels, connections := s.speaksOf(channelBase, "action_cable_channel"), s.speaksOf(connectionBase, "action_cable_connection")
	var found []Finding
	add := func(d *scope, rule string, runs Runs, means, advice string) {
		found = append(found, Finding{Rule: rule, File: s.path, Line: d.line, Runs: runs, Code: "def " + d.name, Means: means, Advice: advice, module: d.module()})
	}
	for _, d := range s.scopes {
		switch {
		case d.keyword != "def" || d.singleton:
		case channels && slices.Contains(overridable, d.name), connections && d.name == "transmit":
			add(d, "delivery", Pinned, "every message of every channel goes through it: "+pinnedMeans, pin+", or change: do it where the message is made")
		case connections && d.name == "beat":
			add(d, "heartbeat", Timers, beatMeans, nothingToDo)
		}
	}
	return found
}

// speaksOf says whether a file names a class of Rails', or the load hook for it.
func (s *source) speaksOf(class, hook string) bool {
	for i, t := range s.tokens {
		if (t.kind == symbol || t.kind == text) && t.text == hook {
			return true
		}
		if t.kind == constant && !s.at(i-1).is(operator, "::") {
			if name, _ := s.constantAt(i); name == class {
				return true
			}
		}
		if t.is(keyword, "class") && s.within[min(i+1, len(s.within)-1)].qualified() == class {
			return true
		}
	}
	return false
}

// notified finds who counts the messages that channels transmit.
func notified(s *source) []Finding {
	var found []Finding
	for i, t := range s.tokens {
		if t.kind == text && t.text == "transmit.action_cable" {
			found = append(found, s.finding("notifications", i, Plain, t.text, "it tells of what channels transmit, and of no broadcast that reaches browsers without Ruby", "change: catenary's metrics count those"))
		}
	}
	return found
}
