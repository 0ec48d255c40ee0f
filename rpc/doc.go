// Package rpc has Rails run the app's own code, over the protocol that docs/rpc.md describes.
//
// Package cable makes calls (Client.Do) and gets back results and effects. Calls travel over a
// standing link into every Rails process (link.go; finder.go and upgrade.go open links), or by POST
// where links are impossible (post.go). The client decides which process runs a call, and when
// (schedule.go). What effects do to a connection is left to package cable; the gem that answers is
// in rpc/rails.
package rpc
