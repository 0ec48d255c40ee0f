// Package front is the listener for browsers: TLS, the HTTP server in front of the cable, and the
// reverse proxy to Rails where catenary serves the whole app. On Linux, a WebSocket's handshake that
// arrives as a whole goes to package cable without net/http; what it means is decided there either
// way.
package front
