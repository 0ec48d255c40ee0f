package socket

import "sync"

// Set holds sockets that get the same frames. Adding and removing cost the
// same however many there are, and the sockets stand side by side for the
// walk. Callers do the locking.
type Set struct {
	sockets []*Socket
	places  []*int32 // where each socket's owner keeps its place
	walked  bool     // Write lets go of the lock: places must not change
	gaps    int      // of those who have left meanwhile
}

// Add puts a socket into the set and writes to place what Remove needs.
func (s *Set) Add(to *Socket, place *int32) {
	*place = int32(len(s.sockets))
	s.sockets = append(s.sockets, to)
	s.places = append(s.places, place)
}

// Remove takes the socket at a place out of the set.
func (s *Set) Remove(place int32) {
	if s.walked {
		s.sockets[place], s.places[place] = nil, nil
		s.gaps++
		return
	}
	last := len(s.sockets) - 1
	*s.places[last] = place
	s.sockets[place], s.places[place] = s.sockets[last], s.places[last]
	s.sockets[last], s.places[last] = nil, nil
	s.sockets, s.places = s.sockets[:last], s.places[:last]
	s.shrink()
}

// Len returns how many sockets are in the set.
func (s *Set) Len() int { return len(s.sockets) - s.gaps }

// Write sends the frame to every socket that is in the set when it begins, and
// has not left when it is its turn. The lock that guards the set is let go of in
// between.
func (s *Set) Write(frame []byte, turns *Turns) {
	s.walked = true
	for i, n := 0, len(s.sockets); i < n; i++ {
		if one := s.sockets[i]; one != nil {
			one.Send(frame)
			turns.next()
		}
	}
	s.walked = false
	if s.gaps > 0 {
		s.closeGaps()
	}
}

func (s *Set) closeGaps() {
	kept := 0
	for i, one := range s.sockets {
		if one == nil {
			continue
		}
		s.sockets[kept], s.places[kept] = one, s.places[i]
		*s.places[kept] = int32(kept)
		kept++
	}
	clear(s.sockets[kept:])
	clear(s.places[kept:])
	s.sockets, s.places, s.gaps = s.sockets[:kept], s.places[:kept], 0
	s.shrink()
}

// shrink gives back the memory of a crowd that has left.
func (s *Set) shrink() {
	n := len(s.sockets)
	if cap(s.sockets) > 64 && n < cap(s.sockets)/4 {
		s.sockets = append(make([]*Socket, 0, n*2), s.sockets...)
		s.places = append(make([]*int32, 0, n*2), s.places...)
	}
}

// Turns lets others have a lock while a long walk holds it.
type Turns struct {
	Lock sync.Locker
	sent int
}

// turn is how many writes others wait for: a fraction of a millisecond.
const turn = 64

func (t *Turns) next() {
	if t.sent++; t.sent%turn == 0 {
		t.Lock.Unlock()
		t.Lock.Lock()
	}
}
