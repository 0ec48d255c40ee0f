package deploy

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// systemd sees only these units and the targets that every unit is ordered by, because units of
// other packages may have faults.
func TestDeploySamples_SystemdAcceptsTheUnits(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	service := stage.WriteFile(t, folder, "catenary.service", stage.Sample(t, "catenary.service", "ExecStart=/usr/local/bin/catenary\n", "ExecStart=/bin/true\n"))
	socket := stage.WriteFile(t, folder, "catenary.socket", stage.Sample(t, "catenary.socket"))
	for _, target := range []string{"sysinit", "basic", "sockets", "shutdown"} {
		stage.WriteFile(t, folder, target+".target", "[Unit]\nDescription="+target+"\n")
	}
	command := exec.Command("systemd-analyze", "verify", service, socket)
	command.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+folder)
	if output, err := command.CombinedOutput(); err != nil || len(output) > 0 {
		t.Errorf("%v: %s", err, output)
	}
}

// The README's location, in the server block of an app whose pages Puma serves.
func TestReadme_NginxSendsCableToCatenaryAndPagesToPuma(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "")
	readme, err := os.ReadFile(stage.ProjectRoot + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, location, found := strings.Cut(string(readme), "\n       location /cable {\n")
	location, _, closed := strings.Cut(location, "\n       }\n")
	if !found || !closed || !strings.Contains(location, "http://127.0.0.1:8080;") {
		t.Fatal("README.md has no such location")
	}
	sites := "server {\nlisten 80;\nlocation / { proxy_pass " + e.App.URL() + "; }\nlocation /cable {\n" + location + "\n}\n}\n"
	address := startNginx(t, strings.Replace(sites, "127.0.0.1:8080", e.Nodes[0].Address, 1))
	p := connectTo(t, address, "/cable")
	p.subscribe(news)
	e.Broadcast("news", "through nginx")
	p.expect(stage.MessageFor(news, `"through nginx"`))
	e.WaitForMetric(0, "catenary_connections 1")
	page, err := stage.Dial(address, stage.Handshake("GET", "/up", address, nil))
	if err != nil {
		t.Fatal(err)
	}
	page.Close()
	if page.Response.StatusCode != 200 {
		t.Errorf("the page is answered %s", page.Response.Status)
	}
}
