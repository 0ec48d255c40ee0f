//go:build !linux

package socket

import (
	"net"
	"time"
)

func writeNow(int, []byte) (n int, broken bool) { return 0, false }

// descriptor is -1: here every frame is written by the flusher.
func descriptor(net.Conn, time.Duration) int { return -1 }

func shutdown(int) {}
