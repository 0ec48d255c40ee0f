// Package rails tests what an application's own code sees behind catenary: callbacks, exceptions and
// notifications as natively, the state of channels across restarts of Puma and edits in development,
// effects that come late, GraphQL subscriptions that live in one process, and whether `catenary audit`
// is right about all of it.
//
//	go test ./cmd/catenary/test/rails
package rails
