package operate

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Rails is started as a new user does.
func TestStart_OnATerminalPrintsTheURLToOpenLast(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	address, operations := stage.FreeAddress(), stage.FreeAddress()
	_, port, _ := net.SplitHostPort(address)
	command := exec.Command(path, "--operations-listen", operations, "--", stage.ProjectRoot+"/script/puma", stage.ProjectRoot+"/testdata/lab")
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), stage.RailsEnv(true, "PORT="+port, "REDIS_URL="+redis.URL())...)
	user, program := terminal(t)
	p := runOn(t, user, program, command)
	t.Cleanup(p.Kill)
	last := "  Status: http://localhost:" + strings.TrimPrefix(operations, "127.0.0.1:")
	if err := p.WaitFor(func() error { return stage.Wrote(p, last) }); err != nil {
		t.Fatal(err)
	}
	text := p.Output.String()
	if err := stage.Mentions(text, []string{"Open http://localhost:" + port + "\r\n", "Puma starting", "waiting for Rails", "127.0.0.1:" + port}); err != nil {
		t.Error(err)
	}
	for _, misleading := range []string{"does not answer", "level=ERROR", "refused", "Listening on"} {
		if strings.Contains(text, misleading) {
			t.Errorf("the output has %q:\n%s", misleading, text)
		}
	}
	for _, url := range regexp.MustCompile(`http://(localhost|127\.0\.0\.1):\d+`).FindAllString(text, -1) {
		if !strings.HasSuffix(url, ":"+port) && !strings.HasSuffix(last, strings.TrimPrefix(url, "http://")) {
			t.Errorf("the output has the URL %s:\n%s", url, text)
		}
	}
	if body, err := stage.Get("http://" + address + "/up"); err != nil || strings.Contains(body, "waits") {
		t.Errorf("%v, %s", err, body)
	}
}
