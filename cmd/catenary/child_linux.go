package main

import "syscall"

// tieToUs makes the command end when we do, even if we are killed.
func tieToUs(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGTERM }
