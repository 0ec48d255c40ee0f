package audit

// workerPool finds how many commands the app has native Action Cable run at once.
func workerPool(s *source) []Finding {
	var found []Finding
	for i, t := range s.tokens {
		if t.is(identifier, "worker_pool_size") && s.at(i+1).is(operator, "=") {
			found = append(found, s.finding("worker pool", i, Plain, t.text, "commands run on as many threads of the gem's own in each Rails process, unless config.catenary.workers says another number", nothingToDo))
		}
	}
	return found
}
