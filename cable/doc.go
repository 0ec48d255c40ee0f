// Package cable is the server between browsers' sockets and Rails. It opens
// connections, carries their commands to Rails and joins them to their streams.
//
// In come handshakes (Server.ServeHTTP), browsers' messages (Connection.Receive)
// and Rails' answers (Connection.applyResult). Out go calls to Rails, frames to
// sockets, and members to the hub. To follow a connection through its life, read
// opening.go, connection.go, calls.go, apply.go and closer.go, in this order.
//
// Package admission decides which handshakes to accept, package socket moves
// bytes, package hub delivers broadcasts, package relay passes channels through
// to the app's own Action Cable, and package rpc calls Rails.
// docs/architecture.md walks through all of them.
package cable
