package hub

import "context"

// Source is where broadcasts come from. Stream names are the app's, without a channel
// prefix.
type Source interface {
	// Run reads broadcasts until ctx ends. It calls deliver in the order in which they
	// arrive. deliver keeps the payload and may block.
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error

	// Subscribe asks for a stream and does not wait. It calls acknowledged, perhaps before
	// it returns, when every later broadcast will be delivered.
	Subscribe(stream string, acknowledged func())

	// Unsubscribe gives up a stream.
	Unsubscribe(stream string)

	// Ready returns why broadcasts do not arrive now, or nil.
	Ready() error
}
