// Package attack is what hostile clients do: frames, handshakes and commands without end,
// bombs, browsers that never read, forged and smuggled calls. An honest client must not
// notice, nothing of an attack may be left behind, and no secret may show in anything that
// catenary writes.
//
//	go test ./cmd/catenary/test/attack
//	ATTACK=full go test ./cmd/catenary/test/attack -run Attack -timeout 60m    # as `make attack`
package attack
