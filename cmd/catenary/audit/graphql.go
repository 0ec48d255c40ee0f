package audit

// graphqlChannel finds channels that give themselves to a query, as
// graphql-ruby's subscriptions over Action Cable ask for.
func graphqlChannel(s subject) []Finding {
	if !s.app.graphql {
		return nil
	}
	var found []Finding
	s.each(func(p part, i int) {
		t := p.tokens[i]
		if (t.kind == label || t.kind == symbol) && t.text == "channel" {
			self := i + 1 // channel: self
			if p.at(self).is(operator, "=>") {
				self++ // :channel => self
			} else if p.at(self).is(operator, "]") && p.at(self+1).is(operator, "=") {
				self += 2 // context[:channel] = self
			}
			if p.at(self).is(keyword, "self") {
				found = append(found, p.finding("graphql-ruby", i, Pinned, "channel: self", "the schema keeps this channel and its queries in memory and runs them for each event: "+pinnedMeans, s.pinnedAdvice()+", or change: graphql-anycable's store"))
			}
		}
	})
	return found
}

// graphqlSchema finds the schema that subscribes over Action Cable.
func graphqlSchema(s *source) []Finding {
	var found []Finding
	for i, t := range s.tokens {
		if t.is(constant, "ActionCableSubscriptions") && !s.at(i+1).is(operator, "::") {
			found = append(found, s.finding("graphql-ruby", i, Pinned, "GraphQL::Subscriptions::ActionCableSubscriptions", "channels that execute subscriptions are pinned to the process that has their queries in memory", pin))
		}
	}
	return found
}
