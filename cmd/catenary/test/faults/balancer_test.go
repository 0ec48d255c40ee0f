package faults

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A balancer is a load balancer without stickiness: each TCP connection goes to the next node, or
// to the one after it if that node does not accept it.
type balancer struct {
	address string
	nodes   []*stage.Catenary
	turn    atomic.Int64
}

func startBalancer(t *testing.T, nodes []*stage.Catenary) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	b := &balancer{address: listener.Addr().String(), nodes: nodes}
	go func() {
		for {
			browser, err := listener.Accept()
			if err != nil {
				return
			}
			go b.relay(browser)
		}
	}()
	return b
}

func (b *balancer) relay(browser net.Conn) {
	defer browser.Close()
	for range b.nodes {
		node, err := net.Dial("tcp", b.nodes[int(b.turn.Add(1)-1)%len(b.nodes)].Address)
		if err != nil {
			continue
		}
		defer node.Close()
		go func() {
			io.Copy(node, browser)
			node.Close()
		}()
		io.Copy(browser, node)
		return
	}
}
