package attack

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What hostile clients do, one file for each kind. During an attack an honest client must be served as
// usual (see honestClient). After it catenary must have released what the attack used (see vitals), and the
// log must have no more than a line a minute of a kind.
//
// `make test` runs short attacks, `make attack` full ones.
var full = os.Getenv("ATTACK") == "full"

// dose returns the size of an attack.
func dose(short, long int) int {
	if full {
		return long
	}
	return short
}

// A victim is a catenary that is attacked, with the lab and Redis behind it.
type victim struct {
	*stage.Edge
	baseline time.Duration // the honest client's median round trip without an attack

	hostile []io.Closer // connections that the attack may leave open
}

// startVictim starts a catenary that takes loopback addresses for those of browsers.
func startVictim(t *testing.T, flags ...string) *victim {
	t.Helper()
	if !full {
		t.Parallel()
	}
	w := &stage.World{}
	t.Cleanup(func() { w.Close() })
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	if w.App, err = stage.StartApp("lab", true, "REDIS_URL="+w.Redis.URL(), "LAB_LOG_LEVEL=fatal"); err != nil {
		t.Fatal(err)
	}
	if w.Catenary, err = stage.StartCatenary(w.App, append(victimFlags, flags...)...); err != nil {
		t.Fatal(err)
	}
	return (&victim{Edge: &stage.Edge{T: t, Redis: w.Redis, App: w.App, Nodes: []*stage.Catenary{w.Catenary}}}).measureBaseline()
}

// another starts a catenary with other settings in front of the same application.
func (v *victim) another(flags ...string) *victim {
	v.Helper()
	node, err := stage.StartCatenary(v.App, append(victimFlags, flags...)...)
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(node.Process.Kill)
	return (&victim{Edge: &stage.Edge{T: v.T, Redis: v.Redis, App: v.App, Nodes: []*stage.Catenary{node}}}).measureBaseline()
}

// victimFlags are the flags of every victim. With pprof a test can run the garbage collector.
var victimFlags = []string{"--trusted-proxies", "10.0.0.0/8", "--operations-pprof"}

// measureBaseline measures the honest client's round trip without an attack.
func (v *victim) measureBaseline() *victim {
	v.Helper()
	client := v.startHonestClient()
	for client.roundTrips() < 20 {
		time.Sleep(50 * time.Millisecond)
	}
	v.baseline = client.stop()
	return v
}

// attack runs one attack as a subtest. It closes the attack's connections when do returns.
func (v *victim) attack(name string, do func(v *victim)) {
	v.T.Run(name, func(t *testing.T) {
		v := &victim{Edge: &stage.Edge{T: t, Redis: v.Redis, App: v.App, Nodes: v.Nodes}, baseline: v.baseline}
		client, before, began := v.startHonestClient(), v.vitals(), time.Now()
		v.hostile = nil
		do(v)
		for _, conn := range v.hostile {
			conn.Close()
		}
		during := client.stop()
		v.expectRecovery(before)
		v.expectQuietLog(began)
		t.Logf("median round trip of the honest client: %v before, %v under attack", v.baseline.Round(time.Millisecond/10), during.Round(time.Millisecond/10))
	})
}

// connectFrom connects from an attacker's address. The handshake may be rejected.
func (v *victim) connectFrom(address, path string, changes ...string) *stage.Browser {
	v.Helper()
	node := v.Nodes[0].Address
	b, err := stage.DialFrom(address, node, stage.Handshake("GET", path, node, changes))
	if err != nil {
		v.Fatal(err)
	}
	v.hostile = append(v.hostile, b.Conn)
	return b
}

// open connects from an attacker's address and expects the welcome.
func (v *victim) open(address string) *stage.Browser {
	v.Helper()
	b := v.connectFrom(address, "/cable")
	v.Expect(b, stage.Welcome)
	return b
}

// waitForEnd waits for the end of the connection and returns the last frame, except pings.
func (v *victim) waitForEnd(b *stage.Browser) (last string) {
	v.Helper()
	for {
		e, ok := stage.NextFrame(b)
		if !ok {
			v.Fatal("the connection does not end")
		}
		if e.Kind == "end" {
			return last
		}
		last = e.String()
	}
}
