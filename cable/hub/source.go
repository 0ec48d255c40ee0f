package hub

import "context"

// Source is where broadcasts come from. Stream names are the app's, without a channel
// prefix.
type Source interface {
	// Run reads broadcasts until ctx ends. It calls deliver in the order in which they
	// arrive. deliver keeps the payload and may block.
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error

	// Subscribe asks for a stream without waiting. acknowledged is called when every
	// broadcast from then on is delivered; it may be called before Subscribe returns.
	Subscribe(stream string, acknowledged func())

	// Unsubscribe gives up a stream.
	Unsubscribe(stream string)

	// Ready returns why broadcasts do not arrive now, or nil.
	Ready() error
}
