// Package bench measures a server that speaks Action Cable, Rails' own or catenary, over WebSockets, as
// browsers use it. The app needs only a channel that streams from a given name, and for two of the
// scenarios an action of it.
//
//	idle    idle connections: the server's memory, and the CPU of pings
//	fanout  broadcasts to all subscribers: latency, deliveries, CPU
//	echo    actions that transmit their data back: round trips
//	storm   all clients connect and subscribe at once
//
// Every message carries a stamp (stamp.go), so that each delivery is timed, and lost, duplicated and
// reordered ones are counted exactly.
//
// The server's processes are read from /proc. The bench itself needs one goroutine and about 10 KB for
// each connection.
package bench
