package cable

import (
	"slices"
	"time"
)

// subscriptions holds the subscriptions of one connection, in the order in which they
// were made. Most connections have a few, and find searches the list; those with many
// get an index.
type subscriptions struct {
	list  []*subscription
	index map[string]*subscription // by identifier; nil up to maxUnindexed
}

const maxUnindexed = 8

func (s *subscriptions) find(identifier string) *subscription {
	if s.index != nil {
		return s.index[identifier]
	}
	for _, sub := range s.list {
		if sub.identifier == identifier {
			return sub
		}
	}
	return nil
}

func (s *subscriptions) add(sub *subscription) {
	s.list = append(s.list, sub)
	if s.index != nil {
		s.index[sub.identifier] = sub
	} else if len(s.list) > maxUnindexed {
		s.index = make(map[string]*subscription, len(s.list))
		for _, sub := range s.list {
			s.index[sub.identifier] = sub
		}
	}
}

func (s *subscriptions) remove(sub *subscription) {
	s.list = slices.DeleteFunc(s.list, func(other *subscription) bool { return other == sub })
	delete(s.index, sub.identifier)
}

// purge removes subscriptions that are no different from new ones.
func (s *subscriptions) purge(now time.Time) {
	for _, sub := range slices.Clone(s.list) {
		if sub.forgettable(now) {
			s.remove(sub)
		}
	}
}

func (s *subscriptions) all() []*subscription { return s.list }
func (s *subscriptions) count() int           { return len(s.list) }

// bytes sums up the identifiers' lengths. That takes linear time, but a subscribe costs
// a call anyway.
func (s *subscriptions) bytes() (sum int) {
	for _, sub := range s.list {
		sum += len(sub.identifier)
	}
	return sum
}

// findOrAddSubscription returns the subscription under an identifier, an existing or a
// new one. c.mu is held.
func (c *Connection) findOrAddSubscription(identifier string) *subscription {
	s := c.subscriptions.find(identifier)
	if s == nil {
		s = &subscription{connection: c, identifier: identifier}
		c.subscriptions.add(s)
	}
	return s
}
