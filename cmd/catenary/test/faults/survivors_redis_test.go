package faults

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestSurvivors_FindEachOtherThroughAnyRedis kills a node whose records are in a master that was a replica a moment ago, and one whose
// records are spread over a cluster.
func TestSurvivors_FindEachOtherThroughAnyRedis(t *testing.T) {
	silenceRedis()
	for name, where := range map[string]struct{ lay, strike func(*rig) }{
		"Sentinel": {laySentinel, func(s *rig) { s.redis.Down() }},
		"Cluster":  {layCluster, func(*rig) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := stage.StartApp("lab", true, "REDIS_URL=redis://"+stage.FreeAddress(), "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(app.Close)
			s := &rig{T: t, app: app, stream: "survivors", reached: map[int]bool{}, flags: []string{"--nodes-lease", "5s", "--broadcasts-probe=false"}}
			where.lay(s)
			s.start()
			survivor := &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
			s.must(survivor.Up(app, append(s.where, s.flags...)...))
			t.Cleanup(survivor.Process.Kill)

			s.riders = s.join(ridersThere, s.catenary.Address)
			s.awaits("browsers are subscribed", func() bool { return every(s.riders, nowSubscribed) })
			where.strike(s)
			act(s.riders, 1, 0) // Rails' answers bring new records
			s.awaits("actions are answered", func() bool { return every(s.riders, allAnswered) })
			s.awaits("the records are in Redis", func() bool {
				return s.catenary.Ready() == nil && s.metric("catenary_lease") == 1 && s.metric("catenary_lease_records") == ridersThere && s.metric("catenary_lease_records_pending") == 0 && s.metric("catenary_connections_stale") == 0
			})
			for _, r := range s.riders {
				r.mu.Lock()
				r.leaving = true // and does not come back
				r.mu.Unlock()
			}
			s.catenary.Process.Kill()
			s.catenary = survivor
			s.awaits("the survivor has run their callbacks", func() bool { return s.metric("catenary_connections_taken_over_total") == ridersThere })
			events := s.events()
			for _, r := range s.riders {
				user := r.lives[0].user
				if got := events[user]; count(got, "unsubscribed") != 1 || count(got, "disconnect") != 1 || !slices.Equal(runs(got), []int{1}) {
					t.Errorf("of %s ran %q", user, got)
				}
			}
		})
	}
}
