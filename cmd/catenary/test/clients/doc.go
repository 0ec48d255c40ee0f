// Package clients runs existing clients, unmodified: every version of Rails' npm package and
// @anycable/core in Node, and a phone app that sends no sub-protocol and no origin. SERVER=rails runs
// them against Rails' own Action Cable.
//
//	go test ./cmd/catenary/test/clients
//
// What clients do inside pages is tested in browser.
package clients
