package lease

// records tracks which of this node's records Redis has. It holds only names of connections, so it
// is never larger than the table of connections.
type records struct {
	changed map[string]struct{} // to be written or removed
	written map[string]bool     // true: Redis confirmed the record; false: Redis may have it
	writing int                 // how many take returned last, and flush is writing
}

func newRecords() records {
	return records{changed: map[string]struct{}{}, written: map[string]bool{}}
}

func (r *records) change(connections ...string) {
	for _, connection := range connections {
		r.changed[connection] = struct{}{}
	}
}

// changeAll has every record written again, because Redis may have lost them.
func (r *records) changeAll() {
	for connection := range r.written {
		r.changed[connection] = struct{}{}
	}
}

// take removes up to limit connections from changed and returns them.
func (r *records) take(limit int) (connections []string) {
	for connection := range r.changed {
		if len(connections) == limit {
			break
		}
		delete(r.changed, connection)
		connections = append(connections, connection)
	}
	r.writing = len(connections)
	return connections
}

// pending counts the records of which Redis does not have the latest version.
func (r *records) pending() int { return len(r.changed) + r.writing }

// attempt notes that connections are about to be written.
func (r *records) attempt(connections []string) {
	for _, connection := range connections {
		if _, known := r.written[connection]; !known {
			r.written[connection] = false
		}
	}
}

// confirm notes what Redis has set and removed.
func (r *records) confirm(set, removed []string) {
	for _, connection := range set {
		r.written[connection] = true
	}
	for _, connection := range removed {
		delete(r.written, connection)
	}
}

// reset forgets what was written, and returns the connections whose records Redis had confirmed.
func (r *records) reset() (confirmed []string) {
	for connection, sure := range r.written {
		if sure {
			confirmed = append(confirmed, connection)
			delete(r.changed, connection)
		}
	}
	r.written = map[string]bool{}
	return confirmed
}

// existing returns those of the connections of which Redis may have a record.
func (r *records) existing(connections []string) (existing []string) {
	for _, connection := range connections {
		if _, ok := r.written[connection]; ok {
			existing = append(existing, connection)
		}
	}
	return existing
}
