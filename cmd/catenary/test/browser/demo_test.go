package browser

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// It runs the command of the README: catenary starts Rails, serves everything on one port, and
// needs no Redis.
func TestDemo_StartsRailsOnOnePortAndStopsIt(t *testing.T) {
	t.Parallel()
	c := startDemo(t)
	demo := c.catenary.Process
	c.chromium = stage.StartChromium(t)
	twoUsersTalk(c, c.signIn("alice"), c.signIn("bob"))

	demo.Signal(syscall.SIGINT)
	if !demo.WaitForExit() || demo.Err != nil {
		t.Fatalf("after Ctrl-C: %v\n%s", demo.Err, demo.Output.Tail())
	}
	if rails := backendOf(demo); rails == "" {
		t.Error("the address of Rails is not in the output")
	} else if conn, err := net.Dial("tcp", rails); err == nil {
		conn.Close()
		t.Errorf("Rails still listens on %s", rails)
	}
}

func startDemo(t *testing.T) *chat {
	release := stage.BootTurn()
	defer release()
	address, operations := stage.FreeAddress(), stage.FreeAddress()
	_, port, _ := strings.Cut(address, ":")
	folder := t.TempDir()
	demo, err := stage.Start(stage.ProjectRoot, []string{"PORT=" + port, "CATENARY_OPERATIONS_LISTEN=" + operations,
		"DATABASE_PATH=" + folder + "/chat.sqlite3", "PIDFILE=" + folder + "/server.pid"},
		stage.ProjectRoot+"/script/demo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(demo.Kill)
	c := &chat{t: t, catenary: &stage.Catenary{Address: address, Operations: operations, Process: demo}}
	if err := demo.WaitFor(c.catenary.Ready); err != nil {
		t.Fatal(err)
	}
	return c
}

// backendOf returns Rails' address from Puma's output.
func backendOf(p *stage.Process) (address string) {
	if _, rest, found := strings.Cut(p.Output.String(), "Listening on http://"); found {
		fmt.Sscan(rest, &address)
	}
	return address
}
