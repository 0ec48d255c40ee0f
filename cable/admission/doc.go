// Package admission decides, before Rails is called, which TCP connections and handshakes are
// admitted. A rejection has a reason: a limit, the page's origin or what is wrong with the token.
//
// It knows the limits, the origins, the trusted proxies and the app's own rules about origins.
// Package token verifies JSON Web Tokens, package turbo signed stream names.
//
// Package cable opens the admitted handshakes and has Rails run connect.
package admission
