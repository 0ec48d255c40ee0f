package lease

import "strings"

// isRefusal tells whether Redis does not let us, which will not change by itself:
// an ACL without the commands or keys, or a service without scripts.
func isRefusal(err error) bool {
	if err == nil {
		return false
	}
	for _, words := range []string{"NOPERM", "ACL failure in script", "can't run this command", "can't access at least one of the keys", "unknown command"} {
		if strings.Contains(err.Error(), words) {
			return true
		}
	}
	return false
}

// refuse turns the lease off until the next start, and says so once.
func (l *Lease) refuse(err error) {
	l.refused.Store(true)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.records = newRecords()
	close(l.settled)
	l.settled = make(chan struct{})
	l.log.Warn("Redis does not let this node have a lease, so if it is killed its callbacks do not run: "+
		"allow its user the commands and keys of docs/nodes.md, or say nodes.lease: 0", "error", err)
}
