package socket

import (
	"slices"
	"testing"
)

// onUnlock runs whenever Write releases the lock.
type onUnlock func()

func (f onUnlock) Lock()   {}
func (f onUnlock) Unlock() { f() }

func TestSet_ChangesDuringAWrite(t *testing.T) {
	const n = 4 * writesPerTurn
	shared := &Sockets{}
	sockets, indexes := make([]Socket, 2*n), make([]int32, 2*n)
	var set Set
	for i := range sockets {
		sockets[i].shared = shared
		sockets[i].corked = true // what it is sent stays in its queue
		sockets[i].limit = 100
	}
	for i := range n {
		set.Add(&sockets[i], &indexes[i])
	}
	removed := []int{1, writesPerTurn + 1, n - 1} // the first has its frame already
	added := 0
	set.Write([]byte("a"), &Turns{Lock: onUnlock(func() {
		if added == 0 {
			for _, i := range removed {
				set.Remove(indexes[i])
			}
		}
		set.Add(&sockets[n+added], &indexes[n+added])
		added++
	})})
	if set.Len() != n+added-len(removed) {
		t.Errorf("%d sockets in the set", set.Len())
	}
	for i := range n + added {
		want := 1
		if i >= n || slices.Contains(removed[1:], i) {
			want = 0
		}
		if got := len(sockets[i].queue); got != want {
			t.Errorf("socket %d got %d frames, want %d", i, got, want)
		}
		if !slices.Contains(removed, i) && set.sockets[indexes[i]] != &sockets[i] {
			t.Errorf("socket %d has the wrong index", i)
		}
	}
}
