package stage

import (
	"os"
	"strconv"
	"time"
)

// Patience is how long a test waits for anything that must come. There is no other deadline:
// waiting costs nothing when all is well, and a busy machine needs it. CATENARY_TEST_PATIENCE=3
// triples it.
var Patience = patience()

func patience() time.Duration {
	const usual = 2 * time.Minute
	text := os.Getenv("CATENARY_TEST_PATIENCE")
	os.Unsetenv("CATENARY_TEST_PATIENCE") // catenary rejects unknown CATENARY_ variables
	if text == "" {
		return usual
	}
	factor, err := strconv.ParseFloat(text, 64)
	if err != nil || factor <= 0 {
		panic("CATENARY_TEST_PATIENCE must be a positive number, such as 1.5, not " + strconv.Quote(text))
	}
	return time.Duration(factor * float64(usual))
}

// Forever is a duration for settings that must not take effect during a test.
const Forever = "1h"

// Await polls until a condition holds, and reports whether it did within Patience.
func Await(condition func() bool) bool {
	for began := time.Now(); ; PauseSince(began) {
		if condition() {
			return true
		}
		if time.Since(began) > Patience {
			return false
		}
	}
}

// PauseSince sleeps between two polls. A poll takes processor time from what it waits for, so a wait
// that began long ago polls less often.
func PauseSince(began time.Time) {
	time.Sleep(min(max(30*time.Millisecond, time.Since(began)/5), 250*time.Millisecond))
}
