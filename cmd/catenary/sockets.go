package main

import (
	"context"
	"fmt"
	"net"

	"github.com/catenary-cable/catenary/config"
)

// sockets are where catenary is reached.
type sockets struct {
	browsers   net.Listener
	operations net.Listener // nil: nowhere
	lent       bool         // browsers is systemd's, and stays open when we end
}

// openSockets takes those that systemd lends, and opens the others.
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
	for _, one := range []net.Listener{s.browsers, s.operations} {
		if one != nil {
			one.Close()
		}
	}
}

func listen(key, address string) (net.Listener, error) {
	// Keep-alive probes would tell nothing that the pings do not.
	config := net.ListenConfig{KeepAlive: -1}
	listener, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %s cannot be had: %w: stop what uses it, or choose another address", key, address, err)
	}
	return listener, nil
}
