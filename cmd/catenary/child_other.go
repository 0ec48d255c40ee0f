//go:build !linux

package main

import "syscall"

// tieToUs can do nothing here: if catenary is killed, the command is left.
func tieToUs(*syscall.SysProcAttr) {}
