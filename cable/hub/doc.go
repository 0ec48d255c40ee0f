// Package hub delivers broadcasts to the sockets that are subscribed to their
// streams.
//
// In come broadcasts from a Source, which Hub.deliver hands to the shard of their
// stream, and members that Join and Leave streams. Out go frames, built once for all
// members with the same identifier, straight into their sockets; members with a
// callback get the payload instead. The first member of a stream subscribes to it at
// the source, the last one unsubscribes.
//
// Package broadcast is where broadcasts come from. Package cable decides who joins
// which stream.
package hub
