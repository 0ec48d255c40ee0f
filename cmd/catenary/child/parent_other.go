//go:build !linux

package child

import "syscall"

// stopWithParent can do nothing outside of Linux: if catenary is killed, the command goes on.
func stopWithParent(*syscall.SysProcAttr) {}
