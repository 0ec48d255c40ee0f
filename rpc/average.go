package rpc

import (
	"sync/atomic"
	"time"
)

// average is one of which the latest count most: each takes a tenth of the
// weight. Who adds at the same time may lose one, which an average can bear.
type average struct{ atomic.Int64 }

func (a *average) add(took time.Duration) {
	if before := a.Load(); before > 0 {
		a.Store(before + (int64(took)-before)/10)
	} else {
		a.Store(int64(took))
	}
}
