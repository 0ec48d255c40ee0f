// Package protocol says what may be said between a browser and a cable
// server, both ways. It does no I/O and imports none of our packages.
//
// The protocol is Action Cable's, sub-protocol "actioncable-v1-json". Every
// message is one JSON text in one WebSocket text message.
//
// The server says
//
//	{"type":"welcome"}                                     once, when connect has succeeded
//	{"type":"ping","message":1795451915}                   every 3 seconds, Unix time
//	{"identifier":"…","type":"confirm_subscription"}       the subscription is live
//	{"identifier":"…","type":"reject_subscription"}        the channel has refused it
//	{"identifier":"…","message":…}                         a broadcast or a transmission
//	{"type":"disconnect","reason":"…","reconnect":true}    the last frame before the close
//
// The browser says
//
//	{"command":"subscribe","identifier":"…"}               answered by confirm, reject or nothing
//	{"command":"unsubscribe","identifier":"…"}             never answered
//	{"command":"message","identifier":"…","data":"{…}"}    runs a channel's action
//
// An identifier is an opaque string, compared byte by byte once decoded, and
// echoed as it came. By convention it is the JSON of an object that names the
// channel. What the server does not understand it ignores: there is no error
// frame.
//
// The words and bytes mirror Rails' actioncable/lib/action_cable.rb (INTERNAL)
// and actioncable/lib/action_cable/connection/base.rb.
package protocol
