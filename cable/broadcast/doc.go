// Package broadcast contains the sources of broadcasts. They receive what Rails publishes with
// ActionCable.server.broadcast.
//
//   - Redis subscribes where Rails' redis adapter publishes
//     (actioncable/lib/action_cable/subscription_adapter/redis.rb).
//   - Rails lets Rails processes listen through the app's own adapter and forward broadcasts over
//     their links.
//
// Streams have the names that the app's channels give them; a topic in Redis is a stream with the
// channel_prefix of config/cable.yml in front. Every source acknowledges a stream only when it will
// receive all later broadcasts, delivers broadcasts in order of arrival from one goroutine, and
// reports with Ready whether broadcasts arrive.
//
// The package knows nothing about connections, identifiers or frames.
package broadcast
