//go:build !linux

package front

import "net"

// withVisitors returns a listener whose connections all go to net/http.
func (f *Front) withVisitors(listener net.Listener) accepting {
	return &admittingListener{listener, f}
}
