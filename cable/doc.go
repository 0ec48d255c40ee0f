// Package cable is the server: connections to browsers, and the hub that
// brings broadcasts to them.
//
// A command goes down one line: the browser's socket, Connection.receive, the
// connection's queue of errands, rpc.Client, Rails; what Rails answers is
// applied to the connection by Connection.apply.
//
// A broadcast comes up the other: a Source, Hub.deliver, the stream's shard,
// stream.deliver, socket.write, the browser.
//
// The two lines meet where a connection joins a stream. How a broadcast
// source is reached is left to package broadcast, what may be said to package
// protocol, and how Rails is asked to package rpc.
package cable
