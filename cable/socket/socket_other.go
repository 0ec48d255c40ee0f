//go:build !linux

package socket

import (
	"net"
	"time"
)

func writeNow(int, []byte) (n int, broken bool) { return 0, false }

func readNow(int, []byte) (int, error) { return 0, nil }

func writeAll(to conn, frames net.Buffers) (int64, error) { return frames.WriteTo(to) }

// descriptor returns -1: only Socket.flush writes.
func descriptor(net.Conn) (int, bool) { return -1, false }

func prepare(int, time.Duration) {}

func closeNow(int) {}

func shutdown(int) {}
