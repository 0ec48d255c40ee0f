// Package backend tests that catenary works with an application that is not Rails. It runs
// docs/backend.py, which implements the POST contract of docs/rpc.md with Python's standard library,
// behind the real binary and a real Redis.
//
//	go test ./cmd/catenary/test/backend
package backend
