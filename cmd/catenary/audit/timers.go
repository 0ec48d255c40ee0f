package audit

// timers finds periodically, whose intervals catenary keeps.
func timers(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if !p.tokens[i].is(identifier, "periodically") || p.receiver(i) != "self" || p.within[i].keyword == "def" {
			return
		}
		code := "periodically"
		if every, ok := p.call(i).labels["every"]; ok {
			code += " every: " + p.text(every)
		}
		found = append(found, p.finding("timers", i, Timers, code, "catenary ticks it, never twice at once; each tick of each subscription is a call to Rails", nothingToDo))
	})
	return found
}

const beatMeans = "catenary pings by itself; for what else it does, every connection is a call to Rails every three seconds"

// heartbeat finds a connection that does something of its own at every heartbeat.
func heartbeat(s subject) []Finding {
	for _, c := range s.line {
		if at, ok := c.methods()["beat"]; ok {
			return []Finding{{Rule: "heartbeat", File: at.file, Line: at.line, Runs: Timers, Code: "def beat", Means: beatMeans, Advice: nothingToDo}}
		}
	}
	return nil
}

// heartbeats finds code that changes when Rails pings: it does not ping.
func heartbeats(s *source) []Finding {
	const means, advice = "Rails pings nobody: the connections are catenary's", "change: ping.interval in config/catenary.yml"
	var found []Finding
	for i, t := range s.tokens {
		if t.is(constant, "BEAT_INTERVAL") || t.is(identifier, "setup_heartbeat_timer") {
			found = append(found, s.finding("heartbeat", i, Plain, t.text, means, advice))
		}
	}
	return found
}
