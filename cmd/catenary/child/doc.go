// Package child runs the command that starts Rails, as in "catenary -- bin/rails server": with a
// port and a secret of its own, in a process group that catenary stops last.
package child
