// Package backend tests that catenary works for an application that is not Rails: it runs
// docs/backend.py, which answers the POST contract of docs/rpc.md in Python's standard
// library, behind the real binary, a real Redis and a browser's WebSocket.
//
//	go test ./cmd/catenary/test/backend
package backend
