package bench

// A receipt is what one client has received of a round. It belongs to the
// goroutine that reads the client's socket, until that ends.
type receipt struct {
	round      *round
	seen       []uint64 // a bit for every message
	latest     int      // highest sequence so far, plus one
	duplicates int
	reordered  int // those that came after a later one
}

func newReceipt(r *round) receipt { return receipt{round: r, seen: make([]uint64, (r.messages+63)/64)} }

// note is false if the message is a duplicate.
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
