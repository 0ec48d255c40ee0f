package broadcast

// topicOf returns the pub/sub topic of a stream, as Rails does with
// [channel_prefix, stream].compact.join(":"). So a nil prefix adds nothing, and an empty one adds a
// colon. Mirrors subscription_adapter/channel_prefix.rb.
func topicOf(prefix *string, stream string) string {
	if prefix == nil {
		return stream
	}
	return *prefix + ":" + stream
}
