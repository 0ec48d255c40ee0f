// Package attack does what hostile clients do: endless frames, handshakes and commands, decompression
// bombs, browsers that never read, forged and smuggled calls. An honest client must be served as usual,
// everything must be released after an attack, and no secret may appear in anything that catenary
// writes.
//
//	go test ./cmd/catenary/test/attack
//	ATTACK=full go test ./cmd/catenary/test/attack -run Attack -timeout 60m    # as `make attack`
package attack
