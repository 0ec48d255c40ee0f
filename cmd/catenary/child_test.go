package main

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"
)

// withCommand starts catenary with a command of its own, which catenary's settings let it serve without asking.
func withCommand(t *testing.T, script string) *catenary {
	return attempt(t, withSecret, "--broadcasts-redis-url", "redis://"+freeAddress(), "--broadcasts-channel-prefix", "app", "--", "sh", "-c", script)
}

func TestChild_EndsCatenaryWithItsStatus(t *testing.T) {
	t.Parallel()
	for script, status := range map[string]int{"exit 7": 7, "sleep 0.5; exit 3": 3, "kill -9 $$": 137} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			c := withCommand(t, script)
			if !c.process.endsWithin(10 * time.Second) {
				t.Fatalf("it runs on:\n%s", c.process.output.tail())
			}
			if got := c.process.command.ProcessState.ExitCode(); got != status {
				t.Errorf("status %d", got)
			}
			if err := mentions(c.process.output.String(), []string{"Rails has ended", fmt.Sprintf("status=%d", status)}); err != nil {
				t.Error(err)
			}
		})
	}
}

// A port that we have chosen is for us: in production Rails would listen on all addresses.
func TestChild_ListensWhereOnlyWeReachIt(t *testing.T) {
	t.Parallel()
	for want, env := range map[string][]string{"127.0.0.1": nil, "0.0.0.0": {"BINDING=0.0.0.0"}} {
		c := attempt(t, append(env, withSecret...), "--broadcasts-redis-url", "redis://"+freeAddress(), "--broadcasts-channel-prefix", "app",
			"--", "sh", "-c", `echo "binding $BINDING."`)
		if err := c.process.waitFor(10*time.Second, func() error { return says(c.process, "binding "+want+".") }); err != nil {
			t.Error(err)
		}
	}
}

func TestChild_GetsTheSignalsThatAreItsOwn(t *testing.T) {
	t.Parallel()
	c := withCommand(t, `trap "echo got HUP" HUP; trap "echo got USR1" USR1; trap "echo got USR2" USR2; trap "echo got TERM; exit" TERM; echo begun; while :; do sleep 0.1; done`)
	await := func(text string) {
		t.Helper()
		if err := c.process.waitFor(10*time.Second, func() error { return says(c.process, text) }); err != nil {
			t.Fatal(err)
		}
	}
	await("begun")
	for name, signal := range map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2} {
		c.process.signal(signal)
		await("got " + name)
	}
	c.process.signal(syscall.SIGTERM)
	if !c.process.endsWithin(10*time.Second) || c.process.err != nil {
		t.Errorf("it did not end well: %v", c.process.err)
	}
	if err := says(c.process, "got TERM"); err != nil {
		t.Error(err)
	}
}

// As systemd does without KillMode=mixed, and a terminal's Ctrl-C with some shells: a stop is no failure for that.
func TestChild_ThatIsStoppedTogetherWithCatenaryIsNoFailure(t *testing.T) {
	t.Parallel()
	c := attempt(t, withSecret, "--broadcasts-redis-url", "redis://"+freeAddress(), "--broadcasts-channel-prefix", "app", "--shutdown-delay", "20s", "--", "sleep", "60")
	if err := c.process.waitFor(10*time.Second, func() error { return says(c.process, "catenary listens") }); err != nil {
		t.Fatal(err)
	}
	child := childOf(t, c.process)
	c.process.signal(syscall.SIGTERM)
	if err := c.process.waitFor(10*time.Second, func() error { return says(c.process, "catenary stops") }); err != nil {
		t.Fatal(err)
	}
	syscall.Kill(child, syscall.SIGTERM)
	if !c.process.endsWithin(10*time.Second) || c.process.err != nil { // the delay is not waited for
		t.Errorf("it did not end well: %v\n%s", c.process.err, c.process.output.tail())
	}
}

// railsBeside starts catenary with the laboratory under Puma as its command, at catenary's port.
func railsBeside(t *testing.T) (*catenary, *redisServer) {
	redis, err := startRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.close)
	env := []string{"RAILS=" + railsVersion(), "SECRET_KEY_BASE=" + secretKeyBase, "LAB_LOG_LEVEL=info", "RUBYLIB=" + projectRoot + "/rpc/rails/lib", "REDIS_URL=" + redis.url()}
	c := attempt(t, env, "--", projectRoot+"/script/puma", projectRoot+"/testdata/lab")
	if err := c.process.waitFor(60*time.Second, c.ready); err != nil {
		t.Fatal(err)
	}
	return c, redis
}

// Puma loads the app anew, with the same process id and port.
func TestChild_RestartsItselfAndNoBrowserNotices(t *testing.T) {
	t.Parallel()
	c, _ := railsBeside(t)
	b, err := dial(c.address, handshake("GET", "/cable", c.address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	const echo = `{"channel":"EchoChannel"}`
	b.send(command("subscribe", echo, nil))
	if !b.awaits("confirm_subscription") {
		t.Fatalf("no subscription:\n%s", c.process.output.tail())
	}
	c.process.signal(syscall.SIGUSR2)
	if err := c.process.waitFor(30*time.Second, func() error { return says(c.process, "* Restarting...") }); err != nil {
		t.Fatal(err)
	}
	b.send(command("message", echo, `{"action":"echo","n":1}`))
	if !b.awaits(`"message":{"action":"echo","n":1}`) {
		t.Fatalf("no answer:\n%s", c.process.output.tail())
	}
	c.process.signal(syscall.SIGTERM)
	if !b.awaits(`"reason":"server_restart"`) || !c.process.endsWithin(20*time.Second) || c.process.err != nil {
		t.Errorf("it did not end well: %v\n%s", c.process.err, c.process.output.tail())
	}
}

// Nobody is left whom it could ask, so nothing is waited for.
func TestChild_ThatIsKilledEndsCatenaryAtOnceAndBrowsersAreTold(t *testing.T) {
	t.Parallel()
	c, _ := railsBeside(t)
	b, err := dial(c.address, handshake("GET", "/cable", c.address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if !b.awaits("welcome") {
		t.Fatal("no welcome")
	}
	syscall.Kill(childOf(t, c.process), syscall.SIGKILL)
	if !b.awaits(`"reason":"server_restart"`) {
		t.Error("the browser is not told")
	}
	if !c.process.endsWithin(15 * time.Second) { // the grace is 25 s
		t.Fatalf("it runs on:\n%s", c.process.output.tail())
	}
	if got := c.process.command.ProcessState.ExitCode(); got != 137 {
		t.Errorf("status %d", got)
	}
}

func childOf(t *testing.T, p *process) (pid int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.command.Process.Pid, task.Name()))
		if fmt.Sscan(string(children), &pid); pid > 0 {
			return pid
		}
	}
	t.Fatal("it has no child")
	return 0
}
