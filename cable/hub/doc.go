// Package hub brings broadcasts to the sockets of those who stream them.
//
// In come broadcasts from a Source, which Hub.deliver hands to the shard of
// their stream, and members that Join and Leave streams. Out go frames, built
// once for all members with the same identifier, straight into their sockets;
// members without a socket get the payload through a callback. The first
// member of a stream subscribes to it at the source, the last one unsubscribes.
//
// Where broadcasts come from is left to package broadcast, and who may join
// which stream to package cable.
package hub
