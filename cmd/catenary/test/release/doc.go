// Package release installs what script/release builds for this machine, with the commands of
// docs/deploy.md: gem, archive and .deb. It switches a new app to catenary and back, and starts the
// laboratory app on a link.
//
//	go test ./cmd/catenary/test/release
//
// `make release` builds the same for all platforms.
package release
