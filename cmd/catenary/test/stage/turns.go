package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// takeTurn waits until fewer than limit of a kind go on, of all test processes of this user on this machine. A turn that is
// not given back ends with the process. Turns are taken in one order only, or two could wait for each other: a folder's,
// Chromium's, that of a Rails that boots, and the compiler's.
func takeTurn(kind string, limit int) (giveBack func()) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		for n := range limit {
			file, err := os.OpenFile(filepath.Join(sharedFolder(), fmt.Sprintf("%s-%d", kind, n)), os.O_CREATE|os.O_RDWR, 0o600)
			if err != nil {
				panic(err)
			}
			if syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
				return func() { file.Close() }
			}
			file.Close()
		}
	}
}

// sharedFolder is where the test processes of this user find each other.
func sharedFolder() string {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("catenary-tests-%d", os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		panic(err)
	}
	return folder
}
