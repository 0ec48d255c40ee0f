// Package admission decides, before Rails is asked, which TCP connections and handshakes are
// admitted. A rejection has a reason: a limit, the page's origin or what is wrong with the token.
//
// It knows the limits, the origins, the trusted proxies and the rules that the app has reported.
// Package token verifies JSON Web Tokens, package turbo signed stream names.
//
// Package cable handles an admitted handshake and Rails' own connect.
package admission
