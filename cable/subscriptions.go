package cable

import (
	"slices"
	"time"
)

// subscriptions are those of one connection, in the order of their subscribes.
// Most connections have a few and search the list; those with many get an index.
type subscriptions struct {
	list  []*subscription
	index map[string]*subscription // by identifier; nil up to maxUnindexed
}

const maxUnindexed = 8

func (s *subscriptions) find(identifier string) *subscription {
	if s.index != nil {
		return s.index[identifier]
	}
	for _, one := range s.list {
		if one.identifier == identifier {
			return one
		}
	}
	return nil
}

func (s *subscriptions) add(one *subscription) {
	s.list = append(s.list, one)
	if s.index != nil {
		s.index[one.identifier] = one
	} else if len(s.list) > maxUnindexed {
		s.index = make(map[string]*subscription, len(s.list))
		for _, one := range s.list {
			s.index[one.identifier] = one
		}
	}
}

func (s *subscriptions) remove(one *subscription) {
	s.list = slices.DeleteFunc(s.list, func(other *subscription) bool { return other == one })
	delete(s.index, one.identifier)
}

// purge removes the forgettable ones.
func (s *subscriptions) purge(now time.Time) {
	for _, one := range slices.Clone(s.list) {
		if one.forgettable(now) {
			s.remove(one)
		}
	}
}

func (s *subscriptions) all() []*subscription { return s.list }
func (s *subscriptions) count() int           { return len(s.list) }

// bytes sums up the identifiers. It is linear, but each subscribe costs a call anyway.
func (s *subscriptions) bytes() (sum int) {
	for _, one := range s.list {
		sum += len(one.identifier)
	}
	return sum
}
