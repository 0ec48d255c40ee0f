// Package clients runs the clients that exist, unmodified: every version of Rails' npm
// package and @anycable/core in Node, and an app on a phone that offers no sub-protocol
// and has no origin. SERVER=rails runs them against Rails' own Action Cable.
//
//	go test ./cmd/catenary/test/clients
//
// What clients do inside pages is tested in browser.
package clients
