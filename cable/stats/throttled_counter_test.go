package stats

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestThrottledCounter_LogsAKindOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		counter := NewThrottledCounter("trouble", slog.New(slog.NewTextHandler(&out, nil)))
		for range 100 {
			counter.Add("a")
		}
		counter.Add("b")
		time.Sleep(61 * time.Second)
		counter.Add("a")
		if lines := strings.Count(out.String(), "\n"); lines != 3 || !strings.Contains(out.String(), "reason=a times=100") {
			t.Errorf("got\n%s", out.String())
		}
	})
}
