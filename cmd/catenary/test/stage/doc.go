// Package stage is what the end-to-end tests share. It starts the real parts, each on a free port:
// redis-server, a Rails application of testdata under Puma, the catenary binary, Chromium, the npm
// clients in Node, and proxies that lose packets. It also has a Browser that controls every byte of
// its frames, and plays the transcripts of testdata/transcripts.
//
// Tests name what they start and what they expect. This package decides how long to wait and how much
// may run on this machine at once. It tests nothing of catenary itself.
package stage
