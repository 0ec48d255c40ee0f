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
