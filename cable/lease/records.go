package lease

// records is what is known of this node's records in Redis. It holds names of
// connections, no content: there are never more than there are connections.
type records struct {
	changed map[string]struct{} // to be written anew, or removed
	written map[string]bool     // true: surely, and false: perhaps
	writing int                 // taken from changed, and not in Redis yet
}

func newRecords() records {
	return records{changed: map[string]struct{}{}, written: map[string]bool{}}
}

func (r *records) change(connections ...string) {
	for _, connection := range connections {
		r.changed[connection] = struct{}{}
	}
}

// changeAll has everything written anew: Redis may have lost it.
func (r *records) changeAll() {
	for connection := range r.written {
		r.changed[connection] = struct{}{}
	}
}

// take returns some of those to be written.
func (r *records) take(most int) (connections []string) {
	for connection := range r.changed {
		if len(connections) == most {
			break
		}
		delete(r.changed, connection)
		connections = append(connections, connection)
	}
	r.writing = len(connections)
	return connections
}

// waiting is how many records Redis does not have as they are now.
func (r *records) waiting() int { return len(r.changed) + r.writing }

// attempt notes what is about to be written.
func (r *records) attempt(connections []string) {
	for _, connection := range connections {
		r.written[connection] = r.written[connection]
	}
}

func (r *records) wrote(set, removed []string) {
	for _, connection := range set {
		r.written[connection] = true
	}
	for _, connection := range removed {
		delete(r.written, connection)
	}
}

// lose forgets what was written, and returns it, as far as that is sure.
func (r *records) lose() (surely []string) {
	for connection, sure := range r.written {
		if sure {
			surely = append(surely, connection)
			delete(r.changed, connection)
		}
	}
	r.written = map[string]bool{}
	return surely
}

// known returns those of which there may be a record.
func (r *records) known(connections []string) (known []string) {
	for _, connection := range connections {
		if _, ok := r.written[connection]; ok {
			known = append(known, connection)
		}
	}
	return known
}
