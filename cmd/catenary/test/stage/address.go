package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// FreeAddress returns a loopback address where nothing listens, below the ephemeral ports. It never
// returns an address twice, in this process or in another test process, because Puma takes seconds
// to start listening.
func FreeAddress() string {
	for {
		port := 20000 + rand.IntN(12000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if _, taken := addresses.LoadOrStore(address, true); taken || !claim(port) {
			continue
		}
		syscall.ForkLock.RLock() // a process forked now would inherit the listener
		listener, err := net.Listen("tcp", address)
		if err == nil {
			listener.Close()
		}
		syscall.ForkLock.RUnlock()
		if err == nil {
			return address
		}
	}
}

var addresses sync.Map

// claim locks a port against other test processes until this process exits.
func claim(port int) bool {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(port), Len: 1}
	return unix.FcntlFlock(claims().Fd(), unix.F_SETLK, &lock) == nil
}

// claims is a lock file in which each byte stands for a port. Ports are the machine's, whatever
// TMPDIR is, so it is not in sharedFolder.
var claims = sync.OnceValue(func() *os.File {
	file, err := os.OpenFile(fmt.Sprintf("/tmp/catenary-tests-ports-%d", os.Getuid()), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		panic(err)
	}
	return file
})
