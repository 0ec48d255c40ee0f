package cable

import "sync"

// room is waited for by the one reader of a browser whose queue is full. The
// lock of the queue guards it.
type room struct{ made chan struct{} }

// await lets go of the lock until there may be room: the caller looks again.
func (r *room) await(lock *sync.Mutex) {
	if r.made == nil {
		r.made = make(chan struct{})
	}
	made := r.made
	lock.Unlock()
	<-made
	lock.Lock()
}

// make wakes who waits.
func (r *room) make() {
	if r.made != nil {
		close(r.made)
		r.made = nil
	}
}
