// Package edge tests what catenary decides before Rails is asked, or in its place: TLS and
// certificates, tokens and who they identify, origins and limits, what proxies in front say
// of the browser, Turbo's signed stream names, and channels or whole connections that are
// passed through to Rails' own cable.
//
//	go test ./cmd/catenary/test/edge
package edge
