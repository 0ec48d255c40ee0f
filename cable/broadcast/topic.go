package broadcast

// topicOf names the pub/sub topic of a stream, as Rails does with
// [channel_prefix, stream].compact.join(":"): no prefix (nil) leaves the name
// as it is, an empty one puts a colon in front of it.
// Mirrors subscription_adapter/channel_prefix.rb.
func topicOf(prefix *string, stream string) string {
	if prefix == nil {
		return stream
	}
	return *prefix + ":" + stream
}
