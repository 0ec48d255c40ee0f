package stage

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// An address looks free until the server that got it listens, which takes seconds.
func TestFreeAddress_ReturnsNoAddressTwice(t *testing.T) {
	given := map[string]bool{}
	for range 2000 {
		address := FreeAddress()
		if given[address] {
			t.Fatalf("got %s twice", address)
		}
		given[address] = true
	}
}

// TCP sends lost bytes again, so they arrive after the network has recovered.
func TestFaultyProxy_LosesPacketsSilently(t *testing.T) {
	t.Parallel()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			conn, err := server.Accept()
			if err != nil {
				return
			}
			go io.Copy(conn, conn)
		}
	}()
	p := StartProxy(t, server.Addr().String())
	conn, err := net.Dial("tcp", p.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	echo := func(wait time.Duration) error {
		conn.SetDeadline(time.Now().Add(wait))
		if _, err := io.WriteString(conn, "x"); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, make([]byte, 1))
		return err
	}
	if err := echo(Patience); err != nil {
		t.Fatal(err)
	}
	const quiet = 500 * time.Millisecond // nothing may arrive within it, on any machine
	for _, d := range []Direction{ToTarget, ToClient, ToTarget | ToClient} {
		p.Lose(d)
		if echo(quiet) == nil {
			t.Fatalf("direction %d still passes", d)
		}
		if other, err := net.DialTimeout("tcp", p.Address, quiet); d == ToTarget|ToClient && err == nil {
			other.Close()
			t.Fatal("the proxy accepts new connections")
		}
		p.Lose(0)
		conn.SetDeadline(time.Now().Add(Patience))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatalf("direction %d: %v", d, err)
		}
	}
}
