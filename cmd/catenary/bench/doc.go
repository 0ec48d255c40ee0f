// Package bench measures a server that speaks Action Cable, Rails' own or
// catenary, from where its users are: over WebSockets. It is the user's own
// command, so it asks nothing of the app but a channel that streams from a name
// that it is given, and for two of the scenarios an action.
//
//	idle    connections that do nothing: the server's memory and what pings cost
//	fanout  broadcasts to all subscribers: latency, deliveries, CPU
//	echo    actions that transmit their data back: round trips
//	storm   everybody connects and subscribes at once
//
// Everything that is sent carries a stamp (see stamp.go), so that each delivery
// is timed, and what is lost, doubled or out of order is counted exactly.
//
// The server's process is looked at from outside, in /proc. The bench itself
// spends one goroutine and about 10 KB on a connection.
package bench
