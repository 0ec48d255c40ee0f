package stats

import (
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Channels counts events by channel class. The first hundred classes have a count each, all others
// share one. The zero value is ready; it is safe for concurrent use.
type Channels struct {
	mu     sync.Mutex
	counts map[string]*Channel
	others Channel
}

// Channel is what has happened to the channels of one class.
type Channel struct {
	Subscriptions atomic.Int64 // confirmed, now
	Rejections    atomic.Int64
	Exceptions    atomic.Int64 // that the app has not handled
}

// ChannelCounts are the values of a Channel.
type ChannelCounts struct{ Subscriptions, Rejections, Exceptions int64 }

const (
	maxChannels    = 100
	maxChannelName = 100 // bytes
	otherChannels  = "other"
)

// Of returns the count of a class. The class must come from Rails, not from a browser.
func (c *Channels) Of(class string) *Channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	channel := c.counts[class]
	if channel != nil {
		return channel
	}
	valid := class != "" && class != otherChannels && len(class) <= maxChannelName && utf8.ValidString(class)
	if !valid || len(c.counts) >= maxChannels {
		return &c.others
	}
	if c.counts == nil {
		c.counts = map[string]*Channel{}
	}
	channel = &Channel{}
	c.counts[class] = channel
	return channel
}

// Counts returns the counts by class, and those of the others as "other".
func (c *Channels) Counts() map[string]ChannelCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]ChannelCounts{otherChannels: c.others.values()}
	for class, channel := range c.counts {
		counts[class] = channel.values()
	}
	return counts
}

func (c *Channel) values() ChannelCounts {
	return ChannelCounts{c.Subscriptions.Load(), c.Rejections.Load(), c.Exceptions.Load()}
}
