package main

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemo runs what the README tells to run: catenary starts Rails, serves everything on one port, and needs no Redis.
func TestDemo_StartsRailsOnOnePortAndStopsIt(t *testing.T) {
	t.Parallel()
	address, operations := freeAddress(), freeAddress()
	_, port, _ := strings.Cut(address, ":")
	folder := t.TempDir()
	demo, err := start(projectRoot, []string{"PORT=" + port, "CATENARY_OPERATIONS_LISTEN=" + operations,
		"CATENARY_BROADCASTS_EMBEDDED_LISTEN=" + freeAddress(), "DATABASE_PATH=" + folder + "/chat.sqlite3", "PIDFILE=" + folder + "/server.pid"},
		projectRoot+"/script/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(demo.kill)
	c := &chat{t: t, catenary: &catenary{address: address, operations: operations, process: demo}}
	if err := demo.waitFor(2*time.Minute, c.catenary.ready); err != nil {
		t.Fatal(err)
	}
	c.chromium = chromium(t)
	twoUsersTalk(c, c.signIn("alice"), c.signIn("bob"))

	demo.signal(syscall.SIGINT)
	if !demo.endsWithin(20*time.Second) || demo.err != nil {
		t.Fatalf("after Ctrl-C: %v\n%s", demo.err, demo.output.tail())
	}
	if rails := backendOf(demo); rails == "" {
		t.Error("it did not say where Rails is")
	} else if conn, err := net.Dial("tcp", rails); err == nil {
		conn.Close()
		t.Errorf("Rails still listens on %s", rails)
	}
}

// backendOf reads the address of Rails in what catenary has said.
func backendOf(p *process) (address string) {
	if _, rest, found := strings.Cut(p.output.String(), "backend=http://"); found {
		fmt.Sscan(rest, &address)
	}
	return address
}
