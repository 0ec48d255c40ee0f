package deploy

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// startWebServer starts nginx or HAProxy in front of two nodes, configured as in docs/deploy, and
// returns its address.
func startWebServer(t *testing.T, kind string, nodes [2]*stage.Catenary) string {
	t.Helper()
	address := stage.FreeAddress()
	folder := t.TempDir()
	var command *exec.Cmd
	if kind == "nginx" {
		sites := stage.Sample(t, "nginx.conf", "10.0.0.1:8080", nodes[0].Address, "10.0.0.2:8080", nodes[1].Address, "listen 80;", "listen "+address+";", "/var/log/nginx/cable.log", folder+"/cable.log")
		path := stage.WriteFile(t, folder, "nginx.conf", fmt.Sprintf(`
			daemon off; worker_processes 1; worker_rlimit_nofile 16384; error_log stderr; pid %[1]s/pid;
			events { worker_connections 8192; }
			http {
				access_log off;
				client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
				%[2]s
			}`, folder, sites))
		command = exec.Command("nginx", "-e", "stderr", "-p", folder, "-c", path)
	} else {
		config := "global\n  maxconn 6000\n\n" + stage.Sample(t, "haproxy.cfg", "bind :80", "bind "+address,
			"server a 10.0.0.1:8080", "server a "+nodes[0].Address+" port "+port(t, nodes[0].Operations),
			"server b 10.0.0.2:8080", "server b "+nodes[1].Address+" port "+port(t, nodes[1].Operations), " port 9394", "")
		command = exec.Command("haproxy", "-db", "-f", stage.WriteFile(t, folder, "haproxy.cfg", config))
	}
	proxy, err := stage.StartCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Kill)
	if err := proxy.WaitFor(func() error {
		b, err := stage.Dial(address, stage.Handshake("GET", "/cable?uid=nobody&token=seCret", address, nil))
		if err != nil {
			return err
		}
		defer b.Close()
		if b.Response.StatusCode != 101 {
			return fmt.Errorf("the handshake was answered with %s", b.Response.Status)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(proxy.Output.String(), "WARNING") || strings.Contains(proxy.Output.String(), "[warn]") {
		t.Errorf("%s warns about its configuration:\n%s", kind, proxy.Output)
	}
	if kind == "nginx" {
		checkAccessLog(t, proxy, folder+"/cable.log")
	}
	return address
}

// checkAccessLog waits for the line about the first handshake, and expects no query in it.
func checkAccessLog(t *testing.T, nginx *stage.Process, path string) {
	t.Helper()
	err := nginx.WaitFor(func() error {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(log), "seCret") {
			t.Fatalf("nginx logs the token:\n%s", log)
		}
		return stage.Mentions(string(log), []string{`"GET /cable HTTP/1.1" 101`})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T, address string) string {
	_, port, err := net.SplitHostPort(address)
	if _, wrong := strconv.Atoi(port); err != nil || wrong != nil {
		t.Fatal(address, err)
	}
	return port
}
