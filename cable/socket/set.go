package socket

// Set holds sockets that get the same frames. Adding and removing cost the
// same however many there are, and the sockets stand side by side for the
// walk. Callers do the locking.
type Set struct {
	sockets []*Socket
	places  []*int32 // where each socket's owner keeps its place
}

// Add puts a socket into the set and writes to place what Remove needs.
func (s *Set) Add(to *Socket, place *int32) {
	*place = int32(len(s.sockets))
	s.sockets = append(s.sockets, to)
	s.places = append(s.places, place)
}

// Remove takes the socket at a place out of the set.
func (s *Set) Remove(place int32) {
	last := len(s.sockets) - 1
	*s.places[last] = place
	s.sockets[place], s.places[place] = s.sockets[last], s.places[last]
	s.sockets[last], s.places[last] = nil, nil
	s.sockets, s.places = s.sockets[:last], s.places[:last]
	if cap(s.sockets) > 64 && last < cap(s.sockets)/4 { // give back the memory of a crowd that has left
		s.sockets = append(make([]*Socket, 0, last*2), s.sockets...)
		s.places = append(make([]*int32, 0, last*2), s.places...)
	}
}

// Len returns how many sockets are in the set.
func (s *Set) Len() int { return len(s.sockets) }

// Write sends the frame to every socket.
func (s *Set) Write(frame []byte) {
	for _, one := range s.sockets {
		one.Send(frame)
	}
}
