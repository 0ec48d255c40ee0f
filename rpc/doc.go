// Package rpc makes the calls to Rails: POST /_catenary, as docs/rpc.md
// describes them. It knows the vocabulary of the calls and how to carry them
// (signature, connections to Puma, limits, deadlines); what the answers do to
// a connection is package cable's affair.
//
// The gem that answers lives in rpc/rails.
package rpc
