// Package measure runs the measuring tools: `catenary bench`, with small numbers, must
// account for every delivery, natively and behind catenary. With -cost it measures what a
// command costs Rails in CPU, which `make cost` writes to docs/cost.md.
//
//	go test ./cmd/catenary/test/measure
//	go test ./cmd/catenary/test/measure -run Cost -v -args -cost 3
package measure
