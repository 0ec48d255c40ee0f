package stage

import (
	"os"
	"strconv"
	"time"
)

// Patience is how long a test waits for anything that must come. There is no other deadline: when all is well it costs
// nothing, and a busy machine needs it. CATENARY_TEST_PATIENCE=3 makes it three times as long.
var Patience = patience()

func patience() time.Duration {
	const usual = 2 * time.Minute
	text := os.Getenv("CATENARY_TEST_PATIENCE")
	os.Unsetenv("CATENARY_TEST_PATIENCE") // catenary knows no such setting, and says so
	if text == "" {
		return usual
	}
	factor, err := strconv.ParseFloat(text, 64)
	if err != nil || factor <= 0 {
		panic("CATENARY_TEST_PATIENCE is a number, such as 1.5, and not " + strconv.Quote(text))
	}
	return time.Duration(factor * float64(usual))
}

// Forever is a setting of catenary's that no test waits for: what happens all the same has another cause.
const Forever = "1h"

// Await polls until a condition holds, and reports whether it came to hold.
func Await(condition func() bool) bool {
	for deadline := time.Now().Add(Patience); ; time.Sleep(20 * time.Millisecond) {
		if condition() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
