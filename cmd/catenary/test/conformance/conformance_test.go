package conformance

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Every transcript is played against Rails' own Action Cable under Puma, which is the reference,
// and several times against catenary in front of the same application: with links; with links while
// the application rebuilds its objects at every command, as after a restart of Puma; and with POST
// requests. Turbo's transcripts are also played with catenary in place of Turbo's channel, and some
// with tokens in place of connect. SERVER=rails plays against one server only; SERVER=identified
// plays every transcript that can be played with tokens.
func TestConformance_RailsAndCatenarySendTheSameFrames(t *testing.T) {
	t.Parallel()
	transcripts := stage.ReadTranscripts(t, stage.ProjectRoot+"/testdata/transcripts")
	differences := readDifferences(t)
	differences.mustMatch(t, transcripts)

	var equal, different atomic.Int64
	t.Run("transcripts", func(t *testing.T) {
		atOnce := make(chan struct{}, 8)
		for _, tr := range transcripts {
			t.Run(tr.Name, func(t *testing.T) {
				t.Parallel()
				if !tr.Needs.Holds(stage.RailsVersion()) {
					t.Skipf("for Rails %s %.1f", tr.Needs.Operator, tr.Needs.Version)
				}
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				same := true
				for _, server := range stage.Servers() {
					if !tr.PlayedBy(server) {
						continue
					}
					same = t.Run(server, func(t *testing.T) { play(t, worldKey{server, tr.World}, tr) }) && same
				}
				switch {
				case !same:
				case len(tr.Differs) > 0:
					different.Add(1)
				default:
					equal.Add(1)
				}
			})
		}
	})
	fmt.Printf("Rails %s\nconformance: %d equal, %d different on purpose, %d not run; over links and by POST\n",
		stage.RailsVersion(), equal.Load(), different.Load(), len(differences.notRun))
}

// A worldKey names a world that transcripts share.
type worldKey struct{ server, kind string }

// worlds are those of the transcripts, one of which the random conversations use too.
var worlds = stage.SharedWorlds[worldKey]{
	Start: func(k worldKey) (*stage.World, error) { return stage.StartWorld(k.server, k.kind) },
}

func play(t *testing.T, key worldKey, tr stage.Transcript) {
	c := stage.Conversation{World: worlds.FindFor(t, key, tr), Browsers: map[string]*stage.Browser{}}
	c.Play(t, tr.StepsFor(key.server, stage.RailsVersion()))
}
