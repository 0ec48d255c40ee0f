// Package token decides, without Rails, whether the JSON Web Token of a
// handshake is good. It finds the token in the request, checks signature and
// claims, and says in one word why not.
//
// What the token's holder may do is left to the application: its connect runs
// as before, or an Identity takes its place. So is revocation, of which only the
// application's database knows.
//
// Nothing here puts a token, or a part of one, into an error or a log line.
package token
