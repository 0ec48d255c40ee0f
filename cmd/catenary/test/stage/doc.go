// Package stage is what the end-to-end tests share. It starts the real parts, each on a
// free port: redis-server, a Rails application of testdata under Puma, the catenary binary,
// Chromium, the npm clients in Node, and proxies that lose what passes through them. It
// also has a browser down to the bytes of its frames, and plays the transcripts of
// testdata/transcripts.
//
// Tests say what they start and what they expect; how long to wait, and how much may run
// on this machine at once, is decided here. The package tests nothing of catenary itself.
package stage
