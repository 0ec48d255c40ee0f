package cable

// askedAtOnce is how many handshakes may wait for Rails' answer at once. It is
// more than Rails works on at once; each has buffers and a stack of its own.
const askedAtOnce = 256

// Calm returns when so few handshakes wait for Rails that one more connection
// may be accepted. Who accepts asks first: so a storm waits where waiting
// costs least, in the kernel. A client that sends its request slowly, or a
// wrong token, holds up nobody.
func (s *Server) Calm() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.asking >= askedAtOnce {
		s.calmer.Wait()
	}
}

func (s *Server) beginAsking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking++
}

func (s *Server) endAsking() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking--
	s.calmer.Signal()
}
