package audit

// endlessLoops finds commands that go on until another command of the same
// browser ends them. Natively these run side by side.
func endlessLoops(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		t := p.tokens[i]
		loop := t.is(identifier, "loop") && p.receiver(i) == "self" && p.call(i).block
		forever := (t.is(keyword, "while") && p.spells(i+1, "true") || t.is(keyword, "until") && p.spells(i+1, "false")) && p.begins(i)
		if !loop && !forever || !p.within[i].instance() || p.inThread(i) {
			return
		}
		for j := i + 1; j < p.loopEnd(i); j++ {
			if p.tokens[j].is(identifier, "sleep") && !p.inThread(j) {
				found = append(found, p.finding("endless loops", i, PassThrough, "a loop that sleeps",
					"commands of one browser run one after the other: while it loops no other command of it does, and it occupies one of config.catenary.workers",
					s.passThrough()+", or change: periodically, or a thread"))
				return
			}
		}
	})
	return found
}

// loopEnd is where the body of the loop at i ends.
func (s *source) loopEnd(i int) int {
	if s.match[i] > i {
		return s.match[i] // while … end
	}
	return s.expression(i, true)
}

// inThread says whether a block around the token at i is a thread's, or one
// that is kept for later.
func (p part) inThread(i int) bool {
	for c := p.within[i]; c != nil && c.keyword == "block"; c = c.parent {
		if (c.name == "new" || c.name == "start" || c.name == "fork") && p.spells(c.call-2, "Thread", ".") || c.name == "future" || c.name == "post" || c.name == "execute" {
			return true
		}
	}
	return false
}
