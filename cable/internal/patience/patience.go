// Package patience is how long the tests below cable wait for what they need: one
// generous deadline, which CATENARY_TEST_PATIENCE, a factor, stretches on a slow machine.
// Only tests import it.
package patience

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// Deadline is how long a test waits for something before it fails.
var Deadline = For(30 * time.Second)

// For stretches a duration by CATENARY_TEST_PATIENCE.
func For(d time.Duration) time.Duration { return time.Duration(float64(d) * factor()) }

func factor() float64 {
	text := os.Getenv("CATENARY_TEST_PATIENCE")
	if text == "" {
		return 1
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f <= 0 {
		panic(fmt.Sprintf("CATENARY_TEST_PATIENCE: %q is not a positive number", text))
	}
	return f
}

// Eventually waits until holds returns true. It fails the test after Deadline.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Deadline); ; time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
