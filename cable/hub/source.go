package hub

import "context"

// Source is where broadcasts come from. Streams are named as the app names
// them; a prefix is the source's own affair.
type Source interface {
	// Run reads broadcasts until ctx ends. deliver is called in the order in
	// which the source got them, owns the payload, and may block.
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error

	// Subscribe asks for a stream without waiting. acknowledged is called when
	// every broadcast from now on will be delivered, perhaps at once.
	Subscribe(stream string, acknowledged func())

	// Unsubscribe asks for no more of a stream.
	Unsubscribe(stream string)

	// Ready returns why broadcasts do not arrive now, or nil.
	Ready() error
}
