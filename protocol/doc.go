// Package protocol describes the messages between a browser and a cable server. It does
// no I/O and imports none of our packages.
//
// The protocol is Action Cable's, sub-protocol "actioncable-v1-json". Every message is
// one JSON text in one WebSocket text message. extended.go has what another sub-protocol adds.
//
// The server sends
//
//	{"type":"welcome"}                                     once, after the app's connect
//	{"type":"ping","message":1795451915}                   every 3 seconds, Unix time
//	{"identifier":"…","type":"confirm_subscription"}       the subscription is live
//	{"identifier":"…","type":"reject_subscription"}        the channel has rejected it
//	{"identifier":"…","message":…}                         a broadcast or a transmission
//	{"type":"disconnect","reason":"…","reconnect":true}    the last frame before the close
//
// The browser sends
//
//	{"command":"subscribe","identifier":"…"}               answered by confirm, reject or nothing
//	{"command":"unsubscribe","identifier":"…"}             never answered
//	{"command":"message","identifier":"…","data":"{…}"}    runs a channel's action
//
// An identifier is an opaque string. The server decodes it, compares it byte by byte and
// sends it back unchanged. By convention it is the JSON of an object that names the
// channel. The server ignores messages that it does not understand: there is no error
// frame.
//
// Names and bytes mirror Rails' actioncable/lib/action_cable.rb (INTERNAL) and
// actioncable/lib/action_cable/connection/base.rb.
package protocol
