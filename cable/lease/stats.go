package lease

// Stats are the lease's numbers. TookOver and ClosedFor count from the start.
type Stats struct {
	Held      bool
	Others    []string // other nodes that have a lease; not to be changed
	Records   int
	Waiting   int   // of these and others, not written as they are now
	TookOver  int64 // nodes
	ClosedFor int64 // connections of these
}

// Stats may be called as often as one likes.
func (l *Lease) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	held, others := l.held && !l.down && !l.refused.Load(), l.others
	if !held {
		others = nil // nobody knows
	}
	return Stats{Held: held, Others: others, Records: len(l.records.written), Waiting: l.records.waiting(), TookOver: l.tookOver.Load(), ClosedFor: l.closedFor.Load()}
}
