package stage

import (
	"time"
)

const (
	Patience = 6 * time.Second        // how long a step waits for what must come
	Silence  = 500 * time.Millisecond // how long nothing must come to count as quiet
)
