package rpc

import (
	"sync/atomic"
	"time"
)

// average is an exponential moving average of durations: each new one has a weight of a tenth. Of
// two concurrent adds one may be lost, which does not matter.
type average struct{ atomic.Int64 }

func (a *average) add(d time.Duration) {
	if before := a.Load(); before > 0 {
		a.Store(before + (int64(d)-before)/10)
	} else {
		a.Store(int64(d))
	}
}
