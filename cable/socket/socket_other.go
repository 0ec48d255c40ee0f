//go:build !linux

package socket

import (
	"net"
	"time"
)

func writeAll(to conn, frames net.Buffers) (int64, error) { return frames.WriteTo(to) }

// descriptorOf returns -1: only Socket.flush writes.
func descriptorOf(net.Conn) (int, bool) { return -1, false }

func prepare(int, time.Duration) {}
