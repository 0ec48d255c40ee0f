package rpc

import (
	"testing"
	"time"
)

// A load is calls of one kind, made one second after the other.
func (g *governor) load(seconds int, took time.Duration, at *time.Time) (limit int) {
	for range seconds {
		for range 20 {
			*at = at.Add(50 * time.Millisecond)
			limit = g.note(kind{do: Frames}, took, *at)
		}
		*at = at.Add(time.Millisecond)
	}
	return limit
}

func TestGovernor_ShrinksWhenCallsTakeLongerAndComesBack(t *testing.T) {
	at, g := time.Unix(0, 0), newGovernor(8)
	if n := g.load(10, 2*time.Millisecond, &at); n != 8 {
		t.Fatalf("%d while calls take as long as usual", n)
	}
	if n := g.load(2, 3*time.Millisecond, &at); n != 8 {
		t.Fatalf("%d while calls take half as long again", n)
	}
	if n := g.load(5, 50*time.Millisecond, &at); n != 1 {
		t.Fatalf("%d while calls take 25 times as long", n)
	}
	if n := g.load(8, 2*time.Millisecond, &at); n != 8 {
		t.Fatalf("%d once calls are fast again", n)
	}
}

func TestGovernor_TakesForUsualWhatLasts(t *testing.T) {
	at, g := time.Unix(0, 0), newGovernor(4)
	g.load(5, 2*time.Millisecond, &at)
	if n := g.load(5, 2*time.Second, &at); n != 1 {
		t.Fatalf("%d at first", n)
	}
	if n := g.load(60, 2*time.Second, &at); n != 4 {
		t.Fatalf("%d after a minute", n)
	}
}

func TestGovernor_ComparesLikeWithLike(t *testing.T) {
	at, g := time.Unix(0, 0), newGovernor(4)
	limit := 0
	for second := range 20 {
		for n := range 20 {
			at = at.Add(51 * time.Millisecond)
			rebuilt := kind{Frames, second >= 10 && n%2 == 0} // after a restart of Rails
			took := 2 * time.Millisecond
			if rebuilt.full {
				took = 30 * time.Millisecond
			}
			limit = g.note(rebuilt, took, at)
			if limit != 4 {
				t.Fatalf("%d in second %d", limit, second)
			}
		}
	}
}

// Where calls only wait for each other, as Ruby's threads do, so many are in flight as are done at once, or a few more.
func TestGovernor_FindsWhatRailsCanDoAtOnce(t *testing.T) {
	at, g := time.Unix(0, 0), newGovernor(32)
	const atOnce = 4
	g.load(3, 2*time.Millisecond, &at) // quiet
	sum := 0
	for range 15 {
		limit := g.limit
		sum += g.load(1, 2*time.Millisecond*time.Duration(max(limit, atOnce))/atOnce, &at)
	}
	if mean := sum / 15; mean < atOnce-1 || mean > 4*atOnce {
		t.Fatalf("%d on average", mean)
	}
}

func TestGovernor_FollowsTheCeiling(t *testing.T) {
	at, g := time.Unix(0, 0), newGovernor(2)
	if n := g.allow(9); n != 9 {
		t.Fatalf("%d once Rails has told its threads", n)
	}
	g.load(3, 2*time.Millisecond, &at)
	g.load(4, 50*time.Millisecond, &at)
	if n := g.allow(9); n > 2 {
		t.Fatalf("%d although Rails is slow", n)
	}
	if n := g.allow(1); n != 1 {
		t.Fatalf("%d of 1", n)
	}
}
