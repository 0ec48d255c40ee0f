package attack

import (
	"io"
	"os"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The attack suite: what hostile clients do, one file a family. While an attack goes on an honest client must not notice
// (see honest); afterwards nothing of it may be left (see vitals), and the log must have been spared.
//
// In `make test` the attacks are short. `make attack` makes them in full.
var full = os.Getenv("ATTACK") == "full"

// dose is how much of an attack there is.
func dose(short, long int) int {
	if full {
		return long
	}
	return short
}

// A victim is a catenary that is attacked, with the lab and Redis behind it.
type victim struct {
	*stage.Edge
	quiet time.Duration // the honest client's round trip, before

	hostile []io.Closer // the attack's connections that may still be open
}

// startVictim starts it so that the addresses of loopback count as those of browsers.
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
	return (&victim{Edge: &stage.Edge{T: t, Redis: w.Redis, App: w.App, Nodes: []*stage.Catenary{w.Catenary}}}).calm()
}

// another is a catenary with other settings in front of the same application.
func (v *victim) another(flags ...string) *victim {
	v.Helper()
	node, err := stage.StartCatenary(v.App, append(victimFlags, flags...)...)
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(node.Process.Kill)
	return (&victim{Edge: &stage.Edge{T: v.T, Redis: v.Redis, App: v.App, Nodes: []*stage.Catenary{node}}}).calm()
}

// victimFlags are those of all. With pprof a test can have the memory cleaned up before it looks.
var victimFlags = []string{"--trusted-proxies", "10.0.0.0/8", "--operations-pprof"}

// calm measures what the honest client is used to.
func (v *victim) calm() *victim {
	v.Helper()
	client := v.honestClient()
	for client.trips() < 20 {
		time.Sleep(50 * time.Millisecond)
	}
	v.quiet = client.leave()
	return v
}

// attack is one attack. Its connections are closed when it returns.
func (v *victim) attack(name string, do func(v *victim)) {
	v.T.Run(name, func(t *testing.T) {
		v := &victim{Edge: &stage.Edge{T: t, Redis: v.Redis, App: v.App, Nodes: v.Nodes}, quiet: v.quiet}
		client, before, began := v.honestClient(), v.vitals(), time.Now()
		v.hostile = nil
		do(v)
		for _, conn := range v.hostile {
			conn.Close()
		}
		during := client.leave()
		v.recovers(before)
		v.spareTheLog(began)
		t.Logf("the honest client's round trip: %v quiet, %v under attack, in the median", v.quiet.Round(time.Millisecond/10), during.Round(time.Millisecond/10))
	})
}

// from connects from the attacker's address, and does not fail if it is turned away.
func (v *victim) from(address, path string, changes ...string) *stage.Browser {
	v.Helper()
	node := v.Nodes[0].Address
	b, err := stage.DialFrom(address, node, stage.Handshake("GET", path, node, changes))
	if err != nil {
		v.Fatal(err)
	}
	v.hostile = append(v.hostile, b.Conn)
	return b
}

// welcomed connects from the attacker's address as a client that has not begun its attack.
func (v *victim) welcomed(address string) *stage.Browser {
	v.Helper()
	b := v.from(address, "/cable")
	v.Expect(b, stage.Welcome)
	return b
}

// ends waits for the end of the connection and returns the last that it said, pings left out.
func (v *victim) ends(b *stage.Browser) (last string) {
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
