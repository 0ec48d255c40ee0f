// Package measure runs the measuring tools. `catenary bench` must account for every delivery, natively
// and behind catenary. With -cost the package measures what a command costs Rails in CPU time, which
// `make cost` writes to docs/cost.md. With -pages it measures how long a page of Rails waits beside
// browsers, natively and behind up to three nodes.
//
//	go test ./cmd/catenary/test/measure
//	go test ./cmd/catenary/test/measure -run Cost -v -args -cost 3
//	go test ./cmd/catenary/test/measure -run Pages -v -args -pages 9
package measure
