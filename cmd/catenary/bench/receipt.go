package bench

// receipt is what one client has received in a round. It is owned by the goroutine that reads the
// client's socket.
type receipt struct {
	round      *round
	seen       []uint64 // a bit for each message
	latest     int      // highest sequence so far, plus one
	duplicates int
	reordered  int // messages that came after a later one
}

func newReceipt(r *round) receipt { return receipt{round: r, seen: make([]uint64, (r.messages+63)/64)} }

// note records a message. It returns false for a duplicate.
func (r *receipt) note(sequence int) bool {
	word, bit := &r.seen[sequence/64], uint64(1)<<(sequence%64)
	if *word&bit != 0 {
		r.duplicates++
		return false
	}
	*word |= bit
	if sequence < r.latest {
		r.reordered++
	}
	r.latest = max(r.latest, sequence+1)
	return true
}
