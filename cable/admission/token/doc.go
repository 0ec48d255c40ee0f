// Package token verifies the JSON Web Token of a handshake without Rails: it finds the token in the
// request, checks its signature and claims, and rejects it with a one-word reason.
//
// The application decides what the user may do: its connect runs as before, unless an Identity takes
// its place. It alone knows which tokens are revoked.
//
// No error or log line of this package contains a token or a part of one.
package token
