package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// built builds catenary, once, with the race detector, unless something is measured.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildFolder, "catenary")
	if output, err := exec.Command("go", "build", fmt.Sprintf("-race=%t", *rollingPages == 0), "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build catenary: %w\n%s", err, output)
	}
	return path, nil
})

// A catenary is the real binary in front of an app.
type catenary struct {
	address    string // for browsers
	operations string // for probes
	process    *process
}

// startCatenary starts it as a team would: it is told where the application is and its secret, and asks the
// application for the rest.
func startCatenary(app *app, flags ...string) (*catenary, error) {
	c := &catenary{address: freeAddress(), operations: freeAddress()}
	return c, c.up(app, flags...)
}

func (c *catenary) up(app *app, flags ...string) error {
	path, err := built()
	if err != nil {
		return err
	}
	arguments := append([]string{"--backend-url", app.url(), "--listen", c.address, "--operations-listen", c.operations}, flags...)
	c.process, err = start(os.TempDir(), []string{"SECRET_KEY_BASE=" + secretKeyBase, "OTEL_BSP_SCHEDULE_DELAY=100"}, path, arguments...)
	if err != nil {
		return err
	}
	return c.process.waitFor(15*time.Second, c.ready)
}

// ready is nil once catenary says so to a load balancer.
func (c *catenary) ready() error {
	response, err := http.Get("http://" + c.operations + "/ready")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("not ready: %s", body)
	}
	return nil
}
