// Package turbo verifies the signed stream names of turbo-rails without Rails, and reads the stamps of
// its pages (docs/catch-up.md).
//
// A page that the app has rendered contains the name of a stream and its signature. Anyone who
// sends both may subscribe: turbo-rails' app/channels/turbo/streams_channel.rb checks nothing else.
package turbo
