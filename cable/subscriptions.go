package cable

import (
	"slices"
	"time"
)

// subscriptions are those of one connection, in the order in which the browser
// asked for them. Most connections have a few, which are looked through;
// those with many get a map.
type subscriptions struct {
	list  []*subscription
	index map[string]*subscription
}

// few is how many are looked through.
const few = 8

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
	} else if len(s.list) > few {
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

// purge removes those of which nothing need be known.
func (s *subscriptions) purge(now time.Time) {
	for _, one := range slices.Clone(s.list) {
		if one.forgettable(now) {
			s.remove(one)
		}
	}
}

func (s *subscriptions) all() []*subscription { return s.list }
func (s *subscriptions) len() int             { return len(s.list) }

// bytes are those of the identifiers. It is asked when one more is to come, which
// costs a call.
func (s *subscriptions) bytes() (sum int) {
	for _, one := range s.list {
		sum += len(one.identifier)
	}
	return sum
}
