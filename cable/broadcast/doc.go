// Package broadcast holds the sources of broadcasts: where what Rails says
// with ActionCable.server.broadcast is heard.
//
//   - Redis listens where Rails' redis adapter publishes
//     (actioncable/lib/action_cable/subscription_adapter/redis.rb).
//   - Rails has Rails processes listen, by the app's own adapter, over their
//     links.
//
// All speak of streams as the app's channels name them; the topic in Redis is
// the stream with the channel_prefix of config/cable.yml in front. All promise
// the same: a stream is acknowledged only when a broadcast published from then
// on would arrive, broadcasts are delivered in order of arrival by one
// goroutine, and a source is never silently deaf: Ready says so first.
//
// The package knows nothing of connections, identifiers or frames.
package broadcast
