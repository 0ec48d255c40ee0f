package stage

import (
	"fmt"
	"os"
	"testing"
)

// StartClient starts a script of testdata/clients in Node with a version of the npm client. more
// are arguments of the script.
func StartClient(t *testing.T, w *World, script, version string, more ...string) *Process {
	if _, err := os.Stat(ProjectRoot + "/testdata/npm/node_modules"); err != nil {
		t.Fatal("the npm clients are missing: run script/install npm")
	}
	return StartNode(t, script+".mjs", append([]string{version, w.Address, w.App.URL()}, more...)...)
}

// StartNode starts a script of testdata/clients in Node.
func StartNode(t *testing.T, script string, arguments ...string) *Process {
	env := []string{fmt.Sprintf("PATIENCE=%g", Patience.Seconds())}
	client, err := Start(ProjectRoot+"/testdata/clients", env, "node", append([]string{script}, arguments...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Kill)
	return client
}

// MustSucceed waits until a client exits, and fails the test unless it exits with status 0.
func MustSucceed(t *testing.T, client *Process) {
	if !client.exitsWithin(10 * Patience) {
		t.Fatalf("the client still runs:\n%s", client.Output.Tail())
	}
	if client.Err != nil {
		t.Fatalf("%v\n%s", client.Err, client.Output.Tail())
	}
}
