package audit

// threads finds code that goes on after its command.
func threads(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if !p.within[i].instance() {
			return
		}
		for _, words := range [][]string{{"Thread", ".", "new"}, {"Thread", ".", "start"}, {"Thread", ".", "fork"}, {"Concurrent", "::", "Promises", ".", "future"},
			{"Concurrent", "::", "Future", ".", "execute"}, {"Concurrent", "::", "Promise", ".", "execute"}, {"Concurrent", "::", "ScheduledTask", ".", "execute"}} {
			if p.spells(i, words...) {
				found = append(found, p.finding("threads", i, Plain, join(words), "what it transmits and which streams it starts after the command reaches the browser; what it assigns may miss an object that is rebuilt elsewhere", nothingToDo))
			}
		}
	})
	return found
}

func join(words []string) string {
	var whole string
	for _, word := range words {
		whole += word
	}
	return whole
}
