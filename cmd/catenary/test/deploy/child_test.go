package deploy

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// launchWithCommand starts catenary with a shell script as its command. Its settings leave nothing
// to ask Rails for.
func launchWithCommand(t *testing.T, script string) *stage.Catenary {
	return stage.Launch(t, stage.WithSecret, "--broadcasts-redis-url", "redis://"+stage.FreeAddress(), "--broadcasts-channel-prefix", "app", "--", "sh", "-c", script)
}

func TestChild_CatenaryExitsWithTheStatusOfItsCommand(t *testing.T) {
	t.Parallel()
	for script, status := range map[string]int{"exit 7": 7, "sleep 0.5; exit 3": 3, "kill -9 $$": 137} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := launchWithCommand(t, script)
			if !c.Process.WaitForExit() {
				t.Fatalf("catenary still runs:\n%s", c.Process.Output.Tail())
			}
			if got := c.Process.Command.ProcessState.ExitCode(); got != status {
				t.Errorf("status %d", got)
			}
			if err := stage.Mentions(c.Process.Output.String(), []string{"Rails exited", fmt.Sprintf("status=%d", status)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// catenary chooses the port for its own use. Without BINDING, Rails would listen on all addresses
// in production.
func TestChild_ListensOnLoopbackByDefault(t *testing.T) {
	t.Parallel()
	for want, env := range map[string][]string{"127.0.0.1": nil, "0.0.0.0": {"BINDING=0.0.0.0"}} {
		c := stage.Launch(t, append(env, stage.WithSecret...), "--broadcasts-redis-url", "redis://"+stage.FreeAddress(), "--broadcasts-channel-prefix", "app",
			"--", "sh", "-c", `echo "binding $BINDING."`)
		if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, "binding "+want+".") }); err != nil {
			t.Error(err)
		}
	}
}

func TestChild_GetsForwardedSignals(t *testing.T) {
	t.Parallel()
	c := launchWithCommand(t, `trap "echo got HUP" HUP; trap "echo got USR1" USR1; trap "echo got USR2" USR2; trap "echo got TERM; exit" TERM; echo begun; while :; do sleep 0.1; done`)
	await := func(text string) {
		t.Helper()
		if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, text) }); err != nil {
			t.Fatal(err)
		}
	}
	await("begun")
	for name, signal := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2} {
		c.Process.Signal(signal)
		await("got " + name)
	}
	c.Process.Signal(syscall.SIGTERM)
	if !c.Process.WaitForExit() || c.Process.Err != nil {
		t.Errorf("catenary exited with %v", c.Process.Err)
	}
	if err := stage.Wrote(c.Process, "got TERM"); err != nil {
		t.Error(err)
	}
}

// systemd without KillMode=mixed signals both, as does Ctrl-C with some shells.
func TestChild_StoppedTogetherWithCatenaryIsNotAFailure(t *testing.T) {
	t.Parallel()
	c := stage.Launch(t, stage.WithSecret, "--broadcasts-redis-url", "redis://"+stage.FreeAddress(), "--broadcasts-channel-prefix", "app", "--shutdown-grace", "2h", "--", "sleep", "60")
	if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, "waiting for Rails to start") }); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, c.Process)
	c.Process.Signal(syscall.SIGTERM)
	if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, "catenary is stopping") }); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(child, syscall.SIGTERM)
	if !c.Process.WaitForExit() || c.Process.Err != nil { // long before the grace is over
		t.Errorf("catenary exited with %v\n%s", c.Process.Err, c.Process.Output.Tail())
	}
}

// Both nodes start Rails with the app's secret, so each can read the other's lease records.
func TestChild_ASurvivorRunsTheCallbacksOfAKilledNode(t *testing.T) {
	t.Parallel()
	events := filepath.Join(t.TempDir(), "events")
	killed, redis := startWithRails(t, []string{"LAB_LOG=" + events}, "--nodes-lease", "3s")
	survivor, _ := startWithRailsOn(t, redis, []string{"LAB_LOG=" + events}, "--nodes-lease", "3s")
	b, err := stage.Dial(killed.Address, stage.Handshake("GET", "/cable?uid=77", killed.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Send(stage.Command("subscribe", `{"channel":"CounterChannel"}`, nil))
	if !b.WaitForText("confirm_subscription") {
		t.Fatalf("no subscription:\n%s", killed.Process.Output.Tail())
	}
	if err := killed.Process.WaitFor(func() error {
		text, err := stage.Get("http://" + killed.Operations + "/metrics")
		if err == nil {
			err = stage.Mentions(text, []string{"\ncatenary_lease_records 1\n", "\ncatenary_lease_records_pending 0\n"})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	killed.Process.Kill()
	app := &stage.App{Address: survivor.Address}
	if err := app.AwaitEvents("77", stage.Events, []string{"connect", `subscribed {"channel":"CounterChannel"}`, `unsubscribed {"channel":"CounterChannel"}`, "disconnect"}); err != nil {
		t.Errorf("%v\n%s", err, survivor.Process.Output.Tail())
	}
}

// startWithRails starts Redis, and a catenary whose command is the lab under Puma.
func startWithRails(t *testing.T, env []string, flags ...string) (*stage.Catenary, *stage.Redis) {
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	return startWithRailsOn(t, redis, env, flags...)
}

// startWithRailsOn is startWithRails with a given Redis.
func startWithRailsOn(t *testing.T, redis *stage.Redis, env []string, flags ...string) (*stage.Catenary, *stage.Redis) {
	env = stage.RailsEnv(true, append(env, "REDIS_URL="+redis.URL())...)
	release := stage.BootTurn()
	defer release()
	c := stage.Launch(t, env, append(flags, "--", stage.ProjectRoot+"/script/puma", stage.ProjectRoot+"/testdata/lab")...)
	if err := c.Process.WaitFor(c.Ready); err != nil {
		t.Fatal(err)
	}
	return c, redis
}

// Puma loads the app again and keeps its process id and port.
func TestChild_RestartsInPlaceWithoutADisconnect(t *testing.T) {
	t.Parallel()
	c, _ := startWithRails(t, nil)
	b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const echo = `{"channel":"EchoChannel"}`
	b.Send(stage.Command("subscribe", echo, nil))
	if !b.WaitForText("confirm_subscription") {
		t.Fatalf("no subscription:\n%s", c.Process.Output.Tail())
	}
	c.Process.Signal(syscall.SIGUSR2)
	if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, "* Restarting...") }); err != nil {
		t.Fatal(err)
	}
	b.Send(stage.Command("message", echo, `{"action":"echo","n":1}`))
	if !b.WaitForText(`"message":{"action":"echo","n":1}`) {
		t.Fatalf("no answer:\n%s", c.Process.Output.Tail())
	}
	c.Process.Signal(syscall.SIGTERM)
	if !b.WaitForText(`"reason":"server_restart"`) || !c.Process.WaitForExit() || c.Process.Err != nil {
		t.Errorf("catenary exited with %v\n%s", c.Process.Err, c.Process.Output.Tail())
	}
}

// No Rails process is left to run callbacks, so catenary does not wait for the grace.
func TestChild_WhenKilledMakesCatenaryDisconnectBrowsersAndExit(t *testing.T) {
	t.Parallel()
	c, _ := startWithRails(t, nil, "--shutdown-grace", stage.Forever)
	b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if !b.WaitForText("welcome") {
		t.Fatal("no welcome")
	}
	syscall.Kill(childOf(t, c.Process), syscall.SIGKILL)
	if !b.WaitForText(`"reason":"server_restart"`) {
		t.Error("the browser got no disconnect")
	}
	if !c.Process.WaitForExit() { // long before the grace is over
		t.Fatalf("catenary still runs:\n%s", c.Process.Output.Tail())
	}
	if got := c.Process.Command.ProcessState.ExitCode(); got != 137 {
		t.Errorf("status %d", got)
	}
}

// childOf returns the process id of a process' first child.
func childOf(t *testing.T, p *stage.Process) (pid int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.Command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.Command.Process.Pid, task.Name()))
		fmt.Sscan(string(children), &pid)
		if pid > 0 {
			return pid
		}
	}
	t.Fatal("the process has no child")
	return 0
}
