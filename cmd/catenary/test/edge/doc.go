// Package edge tests what catenary decides without Rails or before it: TLS and certificates, tokens and
// the users they identify, origins and limits, what proxies in front report about the browser, Turbo's
// signed stream names, and channels or whole connections that are passed through to Rails' own Action
// Cable.
//
//	go test ./cmd/catenary/test/edge
package edge
