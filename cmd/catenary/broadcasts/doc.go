// Package broadcasts is what the server and the commands share about the app's broadcasts: where the
// configuration says they come from (New), whether they arrive (Probe, Gaps), and requests to
// disconnect, which travel the same way (Disconnection). Reading them is left to package
// cable/broadcast.
package broadcasts
