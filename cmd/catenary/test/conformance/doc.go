// Package conformance compares catenary with Rails' own Action Cable. It plays the transcripts of
// testdata/transcripts against both and expects the same frames, holds random conversations with both,
// and checks that docs/differences.md lists the differences on purpose that transcripts declare.
//
//	go test ./cmd/catenary/test/conformance
//	RAILS=7.2 SERVER=rails go test ./cmd/catenary/test/conformance -run Conformance/transcripts/subscribe
package conformance
