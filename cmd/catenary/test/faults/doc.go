// Package faults breaks the parts around catenary while browsers that keep accounts are
// connected: Redis is killed or silent, Rails restarts, answers nonsense or is slow,
// networks lose packets, nodes die. The accounts show what may be missed and what not; the
// table is docs/faults.md.
//
//	go test ./cmd/catenary/test/faults
//	FAULTS=all go test ./cmd/catenary/test/faults -run Fault    # the long ones too, as `make faults`
//	SOAK=10m SEED=1 go test ./cmd/catenary/test/faults -run Soak -timeout 1h
package faults
