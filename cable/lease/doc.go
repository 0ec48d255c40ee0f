// Package lease has the nodes that survive run the callbacks of one that was
// killed: "unsubscribed" and "disconnect" are where apps count who is there.
//
// In the Redis from which broadcasts come, every node has a lease, which it
// renews, and a record of each of its connections: the close call that Rails
// must be sent at the connection's end. Records are written behind, and sealed,
// because cookies and tokens are in them. A node whose lease has run out is
// taken over by one of the others, which makes the close calls, a few at a
// time, and removes each record that is done. If that one dies too, the rest is
// taken over from it.
//
// A node that only slept, or was cut off from Redis, learns on its return that
// it was taken over. Rails believes its connections to be gone, so it ends
// them, without further calls, and begins anew under another name.
//
// These are the keys, behind broadcasts.channel_prefix. All of a node are in one
// slot of a Cluster.
//
//	_catenary:nodes              set of the nodes' names
//	_catenary:{name}             the lease: who has it; runs out
//	_catenary:{name}:connections hash, connection to record
//	_catenary:{name}:taken       who has taken it over; stays for a day
//
// What a connection is and how Rails is asked is left to package cable.
package lease
