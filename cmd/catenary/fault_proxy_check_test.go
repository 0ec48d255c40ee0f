package main

import (
	"io"
	"net"
	"testing"
	"time"
)

// What is lost comes once the network is well again: the senders' TCP sends it again.
func TestFaultyProxy_LosesWithoutAWord(t *testing.T) {
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
	p := startProxy(t, server.Addr().String())
	conn, err := net.Dial("tcp", p.address)
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
	if err := echo(patience); err != nil {
		t.Fatal(err)
	}
	for _, d := range []direction{there, back, there | back} {
		p.lose(d)
		if echo(silence) == nil {
			t.Fatalf("direction %d is not lost", d)
		}
		if other, err := net.DialTimeout("tcp", p.address, silence); d == there|back && err == nil {
			other.Close()
			t.Fatal("it accepts new connections")
		}
		p.lose(0)
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatalf("direction %d: %v", d, err)
		}
	}
}
