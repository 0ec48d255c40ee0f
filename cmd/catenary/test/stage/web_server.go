package stage

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// StartWebServer starts nginx or HAProxy in front of two nodes, configured as in docs/deploy, and
// returns its address. replace changes more of nginx' configuration.
func StartWebServer(t *testing.T, kind string, nodes [2]*Catenary, replace ...string) string {
	t.Helper()
	address := FreeAddress()
	folder := t.TempDir()
	var command *exec.Cmd
	if kind == "nginx" {
		replace = append(replace, "10.0.0.1:8080", nodes[0].Address, "10.0.0.2:8080", nodes[1].Address, "listen 80;", "listen "+address+";")
		command = Nginx(t, folder, Sample(t, "nginx.conf", replace...))
	} else {
		config := "global\n  maxconn 6000\n\n" + Sample(t, "haproxy.cfg", "bind :80", "bind "+address,
			"server a 10.0.0.1:8080", "server a "+nodes[0].Address+" port "+Port(t, nodes[0].Operations),
			"server b 10.0.0.2:8080", "server b "+nodes[1].Address+" port "+Port(t, nodes[1].Operations), " port 9394", "")
		command = exec.Command("haproxy", "-db", "-f", WriteFile(t, folder, "haproxy.cfg", config))
	}
	proxy, err := StartCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Kill)
	if err := proxy.WaitFor(func() error {
		b, err := Dial(address, Handshake("GET", "/cable?uid=nobody&token=seCret", address, nil))
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
func checkAccessLog(t *testing.T, nginx *Process, path string) {
	t.Helper()
	err := nginx.WaitFor(func() error {
		log, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.Contains(string(log), "seCret") {
			t.Fatalf("nginx logs the token:\n%s", log)
		}
		return Mentions(string(log), []string{`"GET /cable HTTP/1.1" 101`})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Nginx is the command for nginx with these server and upstream blocks. It logs to cable.log in the
// folder.
func Nginx(t *testing.T, folder, sites string) *exec.Cmd {
	sites = strings.ReplaceAll(sites, "/var/log/nginx", folder)
	path := WriteFile(t, folder, "nginx.conf", fmt.Sprintf(`
		daemon off; worker_processes 1; worker_rlimit_nofile 16384; error_log stderr; pid %[1]s/pid;
		events { worker_connections 8192; }
		http {
			access_log off;
			client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
			%[2]s
		}`, folder, sites))
	return exec.Command("nginx", "-e", "stderr", "-p", folder, "-c", path)
}

// Port returns the port of an address.
func Port(t *testing.T, address string) string {
	_, port, err := net.SplitHostPort(address)
	if _, wrong := strconv.Atoi(port); err != nil || wrong != nil {
		t.Fatal(address, err)
	}
	return port
}

// Installed returns the path of a program that script/install has built.
func Installed(program string) string {
	cache := os.Getenv("INSTALL_CACHE")
	if cache == "" {
		cache = os.Getenv("HOME") + "/.cache/catenary"
	}
	return cache + "/bin/" + program
}
