package faults

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/redis/go-redis/v9"
)

// A node is killed whose lease records are in a master that was a replica before, and another whose
// records are spread over a cluster. The survivor reads the histories that are there.
func TestSurvivors_TakeOverThroughSentinelAndCluster(t *testing.T) {
	silenceRedis()
	for name, where := range map[string]struct{ setUp, fail func(*rig) }{
		"Sentinel": {setUpSentinel, func(s *rig) { s.redis.Down() }},
		"Cluster":  {setUpCluster, func(*rig) {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			app, err := stage.StartApp("lab", true, "REDIS_URL=redis://"+stage.FreeAddress(), "LAB_LOG="+filepath.Join(t.TempDir(), "events"), `LAB_HISTORY={"survivors":{}}`)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(app.Close)
			s := &rig{T: t, app: app, stream: "survivors", accepted: map[int]bool{}, flags: []string{"--nodes-lease", "5s", "--broadcasts-probe=false"}}
			where.setUp(s)
			if name == "Cluster" {
				s.publisher = redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{s.redis.Address}, Protocol: 2})
			}
			s.numbering = s.historyScript()
			s.start()
			survivor := &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
			s.must(survivor.Up(app, append(s.redisFlags, s.flags...)...))
			t.Cleanup(survivor.Process.Kill)

			s.recorders = s.join(directBrowsers, s.catenary.Address)
			s.waitFor("browsers are subscribed", func() bool { return every(s.recorders, nowSubscribed) })
			where.fail(s)
			act(s.recorders, 1, 0) // Rails' answers update the records
			s.waitFor("actions are answered", func() bool { return every(s.recorders, allAnswered) })
			s.waitFor("the records are in Redis", func() bool {
				return s.catenary.Ready() == nil && s.metric("catenary_lease") == 1 && s.metric("catenary_lease_records") == directBrowsers && s.metric("catenary_lease_records_pending") == 0 && s.metric("catenary_connections_stale") == 0
			})
			for _, r := range s.recorders {
				r.mu.Lock()
				r.leaving = true // it does not reconnect
				r.mu.Unlock()
			}
			s.catenary.Process.Kill()
			s.catenary = survivor
			s.waitFor("the survivor has run their callbacks", func() bool { return s.metric("catenary_connections_taken_over_total") == directBrowsers })
			events := s.events()
			for _, r := range s.recorders {
				user := r.sessions[0].user
				if got := events[user]; count(got, "unsubscribed") != 1 || count(got, "disconnect") != 1 || !slices.Equal(runs(got), []int{1}) {
					t.Errorf("for %s ran %q", user, got)
				}
			}
			followUnderCuts(s, survivor.Address)
		})
	}
}

// followUnderCuts has a browser receive broadcasts, some of them while it is away.
func followUnderCuts(s *rig, node string) {
	f := s.follow(1, node)[0]
	s.waitFor("the follower is subscribed", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.from > 0
	})
	for round := range 3 {
		for range 5 {
			n := int(s.published.Add(1))
			s.must(s.publishOne(s.Context(), n))
			s.accepted[n] = true
		}
		last := int(s.published.Load())
		s.waitFor("the follower has received them", func() bool { return f.has(last) })
		if round < 2 {
			f.mu.Lock()
			f.browser.Close() // and it reconnects
			f.mu.Unlock()
		}
	}
	f.leave()
	trouble, missed := f.verify(int(s.published.Load()), func(n int) bool { return s.accepted[n] })
	if len(trouble) > 0 || missed > 0 || f.histories != 2 || f.rejections > 0 {
		s.Errorf("%d missed, %d histories, %d rejected: %q", missed, f.histories, f.rejections, trouble)
	}
}
