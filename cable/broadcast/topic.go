package broadcast

// topicOf returns the pub/sub topic of a stream: Rails' [channel_prefix, stream].compact.join(":")
// (subscription_adapter/channel_prefix.rb). A nil prefix adds nothing, an empty one a colon.
func topicOf(prefix *string, stream string) string {
	if prefix == nil {
		return stream
	}
	return *prefix + ":" + stream
}
