package audit

// siblings finds channels that look at the other subscriptions of their
// connection, which are there too.
func siblings(s subject) []Finding {
	var found []Finding
	s.each(func(p part, i int) {
		if p.spells(i, "connection", ".", "subscriptions") {
			found = append(found, p.finding("subscriptions", i, Plain, "connection.subscriptions", "has all of the connection's subscriptions, on the live object and when it is rebuilt; not those that are passed through", nothingToDo))
		}
	})
	return found
}
