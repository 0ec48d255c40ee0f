// Package front is the listener for browsers: TLS, the HTTP server in front of the cable, and the
// reverse proxy to Rails where catenary serves the whole app. Handshakes of WebSockets are left to
// package cable.
package front
