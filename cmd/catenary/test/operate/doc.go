// Package operate tests what operators see of a running catenary: metrics and the documents and the
// dashboard that name them, the log, traces, the status page, `catenary top` and `catenary doctor`.
//
//	go test ./cmd/catenary/test/operate
//
// Package attack tests that none of it shows a secret.
package operate
