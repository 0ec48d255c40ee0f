// Package lease lets other nodes run the disconnect callbacks of a node that was killed: apps count
// who is online in "unsubscribed" and "disconnect".
//
// Every node keeps two things in the Redis that carries the broadcasts: a lease, which it renews,
// and one record per connection, the close call that Rails must get when the connection closes.
// Records are written in the background, and sealed because they hold cookies and tokens. When a
// lease expires, one of the other nodes claims it, makes the close calls in batches and removes each
// record afterwards. If that node dies too, another one takes over the rest in the same way.
//
// A node that slept, or was cut off from Redis, learns on its return that it was taken over. Rails
// has already run the callbacks of its connections, so the node disconnects the browsers without
// further calls and continues under a new name.
//
// The keys, after broadcasts.channel_prefix. All keys of a node are in one slot of a Cluster.
//
//	_catenary:nodes              set of node names
//	_catenary:{name}             the lease: the name of its holder; expires
//	_catenary:{name}:connections hash: connection to record
//	_catenary:{name}:taken       the node that took it over; expires after a day
//
// Package cable decides what a record contains and how to call Rails.
package lease
