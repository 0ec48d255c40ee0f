// Package relay passes channels, or whole connections, through to the app's own
// Action Cable under Puma.
//
// In come the browser's commands (Upstream.Send), out go WebSocket messages to
// the app; what the app answers comes in on Upstream.run and goes out to the
// Browser as it is. When Puma is restarted, the Upstream connects again and
// repeats the subscriptions.
//
// Limits on the browser, its socket and its end are left to package cable,
// which is the Browser.
package relay
