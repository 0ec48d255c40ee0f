package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// FreeAddress is an address on loopback where nothing listens, below the ports that the kernel gives to clients. Puma
// takes seconds to listen on its own, so none is given twice, here or in another test process.
func FreeAddress() string {
	for {
		port := 20000 + rand.IntN(12000)
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if _, again := addresses.LoadOrStore(address, true); again || !claim(port) {
			continue
		}
		syscall.ForkLock.RLock() // or a process that is just being started would have the listener too, for a moment
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

// claim keeps a port from other test processes for as long as this one runs.
func claim(port int) bool {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(port), Len: 1}
	return unix.FcntlFlock(claims().Fd(), unix.F_SETLK, &lock) == nil
}

// claims is a file of which each byte stands for a port.
var claims = sync.OnceValue(func() *os.File {
	file, err := os.OpenFile(filepath.Join(sharedFolder(), "ports"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		panic(err)
	}
	return file
})
