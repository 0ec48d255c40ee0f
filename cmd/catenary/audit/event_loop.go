package audit

// eventLoop finds timers that a channel sets on the server's event loop.
func eventLoop(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if p.spells(i, "event_loop", ".", "timer") || p.spells(i, "executor", ".", "timer") && p.receiver(i) != "self" {
			found = append(found, p.finding("event loop", i, Never, "event_loop.timer", "it never fires: the event loop is the process' that has the sockets", "change: periodically"))
		}
	})
	return found
}
