// Package hub delivers broadcasts to the sockets that are subscribed to their
// streams.
//
// Package broadcast has the sources that it reads, and package cable decides who joins
// and leaves which stream. Hub.deliver hands a broadcast to the shard of its stream. The
// frame is built once for all members with the same identifier and goes straight into
// their sockets; members with a callback get the payload instead. The first member of a
// stream subscribes to it at the source, the last one to leave unsubscribes.
package hub
