// Package operate tests what operators see of a running catenary: metrics and the
// documents and dashboard that name them, the log, traces, the status page, `catenary top`
// and `catenary doctor`.
//
//	go test ./cmd/catenary/test/operate
//
// That none of it shows a secret is tested in attack.
package operate
