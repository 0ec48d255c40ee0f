package socket

import (
	"slices"
	"testing"
)

// between does something whenever a walk lets others have the lock.
type between func()

func (b between) Lock()   {}
func (b between) Unlock() { b() }

func TestSet_IsWrittenToWhileOthersComeAndGo(t *testing.T) {
	const n = 4 * turn
	all := &Sockets{}
	sockets, places := make([]Socket, 2*n), make([]int32, 2*n)
	var set Set
	for i := range sockets {
		sockets[i].all = all
		sockets[i].corked = true // what it is sent stays in its queue
		sockets[i].limit = 100
	}
	for i := range n {
		set.Add(&sockets[i], &places[i])
	}
	gone := []int{1, turn + 1, n - 1} // the first has been written to already
	came := 0
	set.Write([]byte("a"), &Turns{Lock: between(func() {
		if came == 0 {
			for _, i := range gone {
				set.Remove(places[i])
			}
		}
		set.Add(&sockets[n+came], &places[n+came])
		came++
	})})
	if set.Len() != n+came-len(gone) {
		t.Errorf("%d are in the set", set.Len())
	}
	for i := range n + came {
		want := 1
		if i >= n || slices.Contains(gone[1:], i) {
			want = 0
		}
		if got := len(sockets[i].queue); got != want {
			t.Errorf("socket %d got %d frames, want %d", i, got, want)
		}
		if !slices.Contains(gone, i) && set.sockets[places[i]] != &sockets[i] {
			t.Errorf("socket %d has lost its place", i)
		}
	}
}
