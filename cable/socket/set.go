package socket

import "sync"

// Set holds sockets that get the same frames. Add and Remove take constant time, and Write walks
// contiguous memory. The caller holds a lock.
type Set struct {
	sockets []*Socket
	indexes []*int32 // where each socket's index is kept, for Remove
	writing bool     // Write is running and may release the lock: indexes must not change
	removed int      // sockets removed since Write began
}

// Add adds a socket and stores its index in index, where the Set keeps it up to date for Remove.
func (s *Set) Add(to *Socket, index *int32) {
	*index = int32(len(s.sockets))
	s.sockets = append(s.sockets, to)
	s.indexes = append(s.indexes, index)
}

// Remove removes the socket with that index. The last socket takes its place.
func (s *Set) Remove(index int32) {
	if s.writing {
		s.sockets[index] = nil
		s.indexes[index] = nil
		s.removed++
		return
	}
	last := len(s.sockets) - 1
	*s.indexes[last] = index
	s.sockets[index] = s.sockets[last]
	s.indexes[index] = s.indexes[last]
	s.sockets[last] = nil
	s.indexes[last] = nil
	s.sockets = s.sockets[:last]
	s.indexes = s.indexes[:last]
	s.shrink()
}

// Len returns the number of sockets.
func (s *Set) Len() int { return len(s.sockets) - s.removed }

// Write sends a frame to every socket that is in the set when it begins and is not removed before
// its turn, and returns the number of these. turns releases the lock in between.
func (s *Set) Write(frame []byte, turns *Turns) (sent int) { return s.WriteExcept(0, frame, turns) }

// WriteExcept is Write without the sockets of a page, unless the page is 0.
func (s *Set) WriteExcept(page Page, frame []byte, turns *Turns) (sent int) {
	s.writing = true
	for i, n := 0, len(s.sockets); i < n; i++ {
		to := s.sockets[i]
		if to == nil || page != 0 && to.Page == page {
			continue
		}
		to.Send(frame)
		sent++
		turns.next()
	}
	s.writing = false
	if s.removed > 0 {
		s.compact()
	}
	return sent
}

// compact fills the gaps of sockets that were removed during Write.
func (s *Set) compact() {
	kept := 0
	for i, socket := range s.sockets {
		if socket == nil {
			continue
		}
		s.sockets[kept] = socket
		s.indexes[kept] = s.indexes[i]
		*s.indexes[kept] = int32(kept)
		kept++
	}
	clear(s.sockets[kept:])
	clear(s.indexes[kept:])
	s.sockets = s.sockets[:kept]
	s.indexes = s.indexes[:kept]
	s.removed = 0
	s.shrink()
}

// shrink releases memory after many sockets have left.
func (s *Set) shrink() {
	n := len(s.sockets)
	if cap(s.sockets) > 64 && n < cap(s.sockets)/4 {
		s.sockets = append(make([]*Socket, 0, n*2), s.sockets...)
		s.indexes = append(make([]*int32, 0, n*2), s.indexes...)
	}
}

// Turns releases a lock for others now and then, during a long Write.
type Turns struct {
	Lock sync.Locker
	sent int
}

// writesPerTurn is how many writes others wait for the lock; they take less than a millisecond.
const writesPerTurn = 64

func (t *Turns) next() {
	t.sent++
	if t.sent%writesPerTurn == 0 {
		t.Lock.Unlock()
		t.Lock.Lock()
	}
}
