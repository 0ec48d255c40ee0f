package audit

const turboStreams = "Turbo::StreamsChannel"

const turboMeans = "its check runs in Rails for every subscription, as it does natively"

// turboChannel finds the application's own Turbo::StreamsChannel, or a channel
// that inherits from it.
func turboChannel(s subject) []Finding {
	if s.class.name != turboStreams {
		return nil
	}
	p := s.class.parts[0]
	return []Finding{p.finding("turbo", p.scope.first, Plain, "class "+turboStreams, turboMeans, nothingToDo)}
}

// turboReopened finds code that changes turbo-rails' channel.
func turboReopened(s *source) []Finding {
	var found []Finding
	for i, t := range s.tokens {
		if !t.is(constant, "Turbo") || !s.spells(i, "Turbo", "::", "StreamsChannel", ".") {
			continue
		}
		switch method := s.at(i + 4).text; method {
		case "prepend", "include", "class_eval", "before_subscribe", "after_subscribe", "on_subscribe", "send", "class_exec":
			found = append(found, s.finding("turbo", i, Plain, turboStreams+"."+method, turboMeans, nothingToDo))
		}
	}
	return found
}
