// Package rpc has Rails run the app's own code, over the protocol that docs/rpc.md describes.
//
// Package cable makes calls (Client.Do) and gets back results and effects, which it applies to its
// connections. Calls go over a standing link into every Rails process (link.go; finder.go and
// upgrade.go open links), or by POST where links are impossible (post.go). The client decides which
// process runs a call, and when (schedule.go). The gem that answers is in rpc/rails.
package rpc
