// Package measure runs the measuring tools. `catenary bench` must account for every delivery, natively
// and behind catenary. With -cost the package measures what a command costs Rails in CPU time, which
// `make cost` writes to docs/cost.md.
//
//	go test ./cmd/catenary/test/measure
//	go test ./cmd/catenary/test/measure -run Cost -v -args -cost 3
package measure
