// Package admission decides who may come in, before Rails is asked.
//
// In come TCP connections and handshakes, out goes a word: admitted, or over
// which limit, from which page or with which token not. Admission knows the
// limits, the origins, the trusted proxies and the rules that the app has told;
// package token below it verifies JSON Web Tokens, package turbo signed stream
// names.
//
// What becomes of a handshake that is admitted, and what Rails' own connect has
// to say, is left to package cable.
package admission
