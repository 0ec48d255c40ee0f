package main

import (
	"context"
	"fmt"
	"net"

	"github.com/catenary-cable/catenary/config"
)

// sockets are the listeners of this process.
type sockets struct {
	browsers   net.Listener
	operations net.Listener // nil: off
	lent       bool         // systemd owns browsers, and keeps it open when catenary exits
}

// openSockets takes the listeners that systemd passes, and opens the others.
func openSockets(cfg *config.Config) (*sockets, error) {
	s, err := lentSockets()
	if err != nil {
		return s, err
	}
	s.lent = s.browsers != nil
	if s.browsers == nil {
		if s.browsers, err = listen("listen", cfg.Listen); err != nil {
			return s, err
		}
	}
	if s.operations == nil && cfg.Operations.Listen != "" {
		s.operations, err = listen("operations.listen", cfg.Operations.Listen)
	}
	return s, err
}

func (s *sockets) close() {
	for _, listener := range []net.Listener{s.browsers, s.operations} {
		if listener != nil {
			listener.Close()
		}
	}
}

func listen(key, address string) (net.Listener, error) {
	// No keep-alive probes: pings detect dead connections.
	options := net.ListenConfig{KeepAlive: -1}
	listener, err := options.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: listening on %s: %w: stop what uses it, or choose another address", key, address, err)
	}
	return listener, nil
}
