package lease

// Stats are the lease's numbers. The last two count from the start of the process.
type Stats struct {
	Held    bool     // Redis has our lease, and other nodes would take us over
	Others  []string // other nodes that have a lease; read-only
	Records int      // records that Redis has, or may have
	Pending int      // records of which Redis does not have the latest version

	NodesTakenOver       int64
	ConnectionsTakenOver int64
}

// Stats is cheap and safe to call at any time.
func (l *Lease) Stats() Stats {
	if l == nil {
		return Stats{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	stats := Stats{
		Held:                 l.held && !l.down && !l.denied.Load(),
		Records:              len(l.records.written),
		Pending:              l.records.pending(),
		NodesTakenOver:       l.nodesTakenOver.Load(),
		ConnectionsTakenOver: l.connectionsTakenOver.Load(),
	}
	if stats.Held { // otherwise the last look is out of date
		stats.Others = l.others
	}
	return stats
}
