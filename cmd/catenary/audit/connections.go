package audit

// serverConnections finds code that asks Rails for its connections: they are
// catenary's, and Rails' list is empty.
func serverConnections(s *source) []Finding {
	const advice = "change: count with catenary's metrics, or keep count in connect and disconnect"
	var found []Finding
	for i, t := range s.tokens {
		switch {
		case t.is(identifier, "open_connections_statistics") && !s.at(i-1).is(keyword, "def"):
			found = append(found, s.finding("server connections", i, Never, t.text, "always empty: the connections are catenary's", advice))
		case t.is(identifier, "connections") && s.server(i-2) && s.receiver(i) != "self":
			found = append(found, s.finding("server connections", i, Never, "ActionCable.server.connections", "always empty: the connections are catenary's", advice))
		}
	}
	return found
}

// server says whether the word at i is Action Cable's server.
func (s *source) server(i int) bool {
	if !s.at(i).is(identifier, "server") {
		return false
	}
	switch s.receiver(i) {
	case "ActionCable", "connection":
		return true
	case "self":
		return inChannels(s)
	}
	return false
}
