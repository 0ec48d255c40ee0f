package stage

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// takeTurn waits until fewer than limit turns of a kind are taken by this user's test processes on
// this machine. A turn that is not released ends with the process. To avoid deadlocks, turns are
// taken in one order: a folder's, Chromium's, a booting Rails', the compiler's.
func takeTurn(kind string, limit int) (release func()) {
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

// sharedFolder returns the folder through which this user's test processes coordinate.
func sharedFolder() string {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("catenary-tests-%d", os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		panic(err)
	}
	return folder
}
