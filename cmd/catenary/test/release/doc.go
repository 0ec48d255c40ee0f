// Package release installs what script/release builds for this machine, the gem and the
// .deb, and starts what they bring: the version, and the laboratory app on a link.
//
//	go test ./cmd/catenary/test/release
//
// `make release` builds the same for all platforms.
package release
