// Package broadcast contains the sources of broadcasts: they receive what Rails sends with
// ActionCable.server.broadcast.
//
//   - Redis subscribes where Rails' redis adapter publishes
//     (actioncable/lib/action_cable/subscription_adapter/redis.rb).
//   - Rails lets Rails processes listen through the app's own adapter and forward broadcasts over
//     their links.
//
// Streams have the names that the app's channels give them; the topic in Redis is the stream with
// the channel_prefix of config/cable.yml in front. Every source acknowledges a stream only when it
// will receive each later broadcast, delivers broadcasts in order of arrival from one goroutine,
// and reports in Ready when broadcasts do not arrive.
//
// The package knows nothing about connections, identifiers or frames.
package broadcast
