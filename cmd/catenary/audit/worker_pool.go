package audit

// workerPool finds a setting that has no effect any more.
func workerPool(s *source) []Finding {
	var found []Finding
	for i, t := range s.tokens {
		if t.is(identifier, "worker_pool_size") && s.at(i+1).is(operator, "=") {
			found = append(found, s.finding("worker pool", i, Plain, t.text, "has no effect: commands run on Puma's threads, as many at once as backend.concurrency lets through", nothingToDo))
		}
	}
	return found
}
