// Package turbo verifies the signed stream names of turbo-rails without Rails.
//
// A page that the app has rendered carries the name of a stream and a signature;
// whoever shows both may subscribe, which is all that
// turbo-rails' app/channels/turbo/streams_channel.rb asks for.
package turbo
