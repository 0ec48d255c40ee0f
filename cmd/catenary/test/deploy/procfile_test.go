package deploy

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Heroku runs the command in a shell, with PORT, and sends SIGTERM to every process of it.
func TestProcfile_ServesPagesAndCableOnPort(t *testing.T) {
	t.Parallel()
	web := regexp.MustCompile(`(?m)^web: (.+)$`).FindStringSubmatch(stage.Sample(t, "Procfile"))
	if web == nil {
		t.Fatal("Procfile has no web")
	}
	address := stage.FreeAddress()
	c := startSample(t, address, []string{"PORT=" + stage.Port(t, address)}, "bash", "-c", web[1])
	b := visit(t, c.Address, c.Address, c.Process)
	syscall.Kill(-c.Process.Command.Process.Pid, syscall.SIGTERM)
	expectStop(t, b, c.Process)
}

// startSample runs a command of docs/deploy in the folder of an application whose bin/rails starts
// the lab, and waits until catenary is ready.
func startSample(t *testing.T, address string, env []string, name string, arguments ...string) *stage.Catenary {
	t.Helper()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	root := appFolder(t)
	c := &stage.Catenary{Address: address, Operations: stage.FreeAddress()}
	env = append(env, "PATH="+root+"/path:"+os.Getenv("PATH"), "CATENARY_OPERATIONS_LISTEN="+c.Operations, "REDIS_URL="+redis.URL())
	release := stage.BootTurn()
	defer release()
	if c.Process, err = stage.Start(root, stage.RailsEnv(true, env...), name, arguments...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Process.Kill)
	if err := c.Process.WaitFor(c.Ready); err != nil {
		t.Fatal(err)
	}
	return c
}

// appFolder returns a folder with bin/rails, path/catenary, and path/bundle, which only runs a
// command: the tests of releases have the real one.
func appFolder(t *testing.T) string {
	root := t.TempDir()
	program, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"bin", "path"} {
		if err := os.Mkdir(filepath.Join(root, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(program, filepath.Join(root, "path", "catenary")); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		"bin/rails":   fmt.Sprintf("[ \"$*\" = server ] || exit 64\nexec %[1]s/script/puma %[1]s/testdata/lab", stage.ProjectRoot),
		"path/bundle": "[ \"$1\" = exec ] || exit 64\nshift\nexec \"$@\"",
	} {
		if err := os.Chmod(stage.WriteFile(t, root, name, "#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// visit connects a browser to host, has the lab echo a message, and fetches a page.
func visit(t *testing.T, address, host string, server *stage.Process) *stage.Browser {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", "/cable", host, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	b.Send(stage.Command("subscribe", echoChannel, nil))
	if !b.WaitForText("confirm_subscription") {
		t.Fatalf("no subscription: %s\n%s", b.Response.Status, server.Output.Tail())
	}
	echo(t, b, server)
	page, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Close()
	fmt.Fprintf(page, "GET /up HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	status := make([]byte, len("HTTP/1.1 200"))
	if _, err := page.Read(status); err != nil || !strings.HasSuffix(string(status), "200") {
		t.Errorf("the page is answered with %q: %v", status, err)
	}
	return b
}

const echoChannel = `{"channel":"EchoChannel"}`

func echo(t *testing.T, b *stage.Browser, server *stage.Process) {
	t.Helper()
	b.Send(stage.Command("message", echoChannel, `{"action":"echo","n":1}`))
	if !b.WaitForText(`"message":{"action":"echo","n":1}`) {
		t.Fatalf("no answer:\n%s", server.Output.Tail())
	}
}

// expectStop expects that the browser is told to reconnect, and that the process exits.
func expectStop(t *testing.T, b *stage.Browser, server *stage.Process) {
	t.Helper()
	if !b.WaitForText(`"reason":"server_restart"`) {
		t.Errorf("the browser was not told to reconnect:\n%s", server.Output.Tail())
	}
	if !server.WaitForExit() {
		t.Errorf("it still runs:\n%s", server.Output.Tail())
	}
}
