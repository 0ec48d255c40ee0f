// Package cable is the server between browsers' sockets and Rails. It opens
// connections, carries their commands to Rails and joins them to their streams.
//
// It receives handshakes (Server.ServeHTTP), browsers' messages (Connection.Receive)
// and Rails' answers (Connection.answered, applyEffects). It makes calls to Rails,
// sends frames to sockets and adds members to the hub's streams. To follow a
// connection through its life, read opening.go, connection.go, calls.go, apply.go
// and closer.go, in this order.
//
// Package admission decides which handshakes to accept, package socket moves
// bytes, package hub delivers broadcasts, package relay passes channels through
// to the app's own Action Cable, and package rpc calls Rails.
// docs/architecture.md walks through all of them.
package cable
