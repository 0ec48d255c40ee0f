// Package relay passes channels, or whole connections, through to the app's own Action Cable in
// Puma.
//
// An Upstream is one browser's WebSocket to the app. Upstream.Send queues what the browser sends;
// Upstream.run reads what the app sends and gives it to the Browser unchanged. When Puma restarts,
// an Upstream of channels reconnects and subscribes again.
//
// Package cable implements Browser: the browser's socket and its limits belong to it.
package relay
