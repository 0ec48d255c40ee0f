//go:build !linux

package socket

import (
	"net"
	"time"
)

func writeNow(int, []byte) (n int, broken bool) { return 0, false }

func readNow(int, []byte) int { return 0 }

// descriptor returns -1: only Socket.flush writes.
func descriptor(net.Conn, time.Duration) int { return -1 }

func shutdown(int) {}
