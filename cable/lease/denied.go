package lease

import "strings"

// isDenied reports whether Redis does not allow what we asked, which a retry cannot change: an ACL
// without the commands or keys, or a service without scripts.
func isDenied(err error) bool {
	if err == nil {
		return false
	}
	for _, text := range []string{
		"NOPERM",
		"ACL failure in script",
		"can't run this command",
		"can't access at least one of the keys",
		"unknown command",
	} {
		if strings.Contains(err.Error(), text) {
			return true
		}
	}
	return false
}

// disable turns the lease off until the next start and logs it.
func (l *Lease) disable(err error) {
	l.denied.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = newRecords()
	l.wakeWaiters()
	l.log.Warn("Redis does not allow this node a lease, so if it is killed its disconnect callbacks do not run: "+
		"allow its user the commands and keys of docs/nodes.md, or set nodes.lease: 0", "error", err)
}
