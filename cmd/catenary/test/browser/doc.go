// Package browser tests pages in headless Chromium: the README's chat and what its users do,
// `script/demo`, a page that signs in with a token, Turbo Streams, and compressed frames. Rails, Redis
// and the pages' JavaScript are real.
//
//	go test ./cmd/catenary/test/browser
//
// The status page is tested in operate.
package browser
