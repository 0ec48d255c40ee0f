//go:build !linux

package cable

import "net"

func writeNow(int, []byte) (n int, broken bool) { return 0, false }

// descriptor is -1: here every frame is written by the flusher.
func descriptor(net.Conn) int { return -1 }

func shutdown(int) {}
