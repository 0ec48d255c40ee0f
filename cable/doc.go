// Package cable is the server: what is between a browser's socket and Rails, and
// what joins a connection to its streams.
//
// In come handshakes (Server.ServeHTTP), the texts of browsers
// (Connection.Receive) and what Rails answers (Connection.apply). Out go calls
// to Rails, frames to sockets, and members to the hub. Methods stand in the
// order in which a connection lives: opening, connection, calls, apply, closer.
//
// Who may come in is left to package admission, bytes to package socket,
// broadcasts to package hub, channels that the app keeps for itself to package
// relay, and how Rails is asked to package rpc. docs/architecture.md walks
// through all of them.
package cable
