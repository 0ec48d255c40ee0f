// Package faults breaks the parts around catenary while browsers record what they send and receive:
// Redis is killed or frozen, Rails restarts, answers nonsense or is slow, networks lose packets, nodes
// die. The records show what was missed, repeated or reordered. docs/faults.md has the table.
//
//	go test ./cmd/catenary/test/faults
//	FAULTS=all go test ./cmd/catenary/test/faults -run Fault    # slow ones too, as `make faults`
//	SOAK=10m SEED=1 go test ./cmd/catenary/test/faults -run Soak -timeout 1h
package faults
