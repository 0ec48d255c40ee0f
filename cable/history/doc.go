// Package history reads what was broadcast before, for browsers that ask for it.
//
// The gem numbers the broadcasts of the streams that have a history and keeps them in Redis
// (rpc/rails/lib/catenary/rails/history.rb), in two keys for each stream:
//
//   - a Redis Stream with the last broadcasts. An entry's id is its offset, p is the payload, t the
//     Unix second.
//   - a hash with the epoch, the latest offset, the server that has given them (its master_replid), and
//     the Unix second in which the epoch began, if Redis may have lost broadcasts before.
//
// A new epoch begins when the keys have expired or were flushed, and after a restart or a failover of
// Redis, which may have lost broadcasts that browsers have received. Between that and the first broadcast
// of the new epoch, the server in the hash is another one, and nothing is read.
package history
