// Package rpc asks Rails to run the app's own code, as docs/rpc.md describes it.
//
// Calls come in from package cable, results and effects go back to it: over one
// standing link into every Rails process (link.go; finder.go and upgrade.go open
// them), or by POST where no link can be had (post.go). The Client decides which
// process runs a call and when. What effects do to a connection is left to
// package cable; the gem that answers lives in rpc/rails.
package rpc
