package child

import "syscall"

// stopWithParent has the kernel send SIGTERM to the command when catenary exits, even if catenary
// is killed.
func stopWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGTERM }
