package audit

// websocket finds code that reaches into Rails' socket, which is catenary's
// stand-in: it can transmit, close and be asked alive?, and has no driver.
func websocket(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		t := p.tokens[i]
		reach := t.kind == variable && t.text == "@websocket"
		if (t.kind == symbol || t.kind == text) && t.text == "@websocket" && p.passedTo(i, "instance_variable_get", "instance_variable_set") {
			reach = true
		}
		if (t.kind == symbol || t.kind == text) && t.text == "websocket" && p.passedTo(i, "send", "__send__", "public_send") {
			reach = true
		}
		if t.is(identifier, "websocket") && p.receiver(i) == "connection" {
			reach = true
		}
		if reach {
			found = append(found, p.finding("@websocket", i, PassThrough, "@websocket", "the socket is catenary's: what stands in for it can transmit and close, and has no driver or stream to reach", s.passThrough()+"; if it is for dead sockets, change: drop it, catenary finds those itself"))
		}
	})
	return found
}

// passedTo says whether the token at i is the first argument of one of these
// methods.
func (s *source) passedTo(i int, methods ...string) bool {
	if i--; s.at(i).is(operator, "(") {
		i--
	}
	for _, method := range methods {
		if s.at(i).is(identifier, method) {
			return true
		}
	}
	return false
}
