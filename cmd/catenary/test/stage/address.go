package stage

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
)

// FreeAddress is an address on loopback where nothing listens, below the ports that the kernel gives to clients. Puma
// takes seconds to listen on its own, so none is given twice.
func FreeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if _, again := addresses.LoadOrStore(address, true); again {
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
