package rpc

import (
	"strings"
	"testing"
)

func TestLanes_LetThoseWhoAreThereGoFirstButNotAlways(t *testing.T) {
	l := &lanes{limit: 1, maxWait: 20}
	defer l.close()
	blocked, release := make(chan struct{}), make(chan struct{})
	l.submit(&job{run: func() { close(blocked); <-release }, done: make(chan struct{})})
	<-blocked
	var order strings.Builder
	var jobs []*job
	for _, coming := range []bool{true, false} {
		name := map[bool]string{true: "c", false: "t"}[coming]
		for range 8 {
			j := &job{run: func() { order.WriteString(name) }, done: make(chan struct{}), coming: coming}
			jobs = append(jobs, j)
			if !l.submit(j) {
				t.Fatal("refused though there is room")
			}
		}
	}
	left := jobs[0]
	if !l.withdraw(left) || l.withdraw(left) {
		t.Error("a job that waits could not be withdrawn, or twice")
	}
	close(release)
	for _, j := range jobs[1:] {
		<-j.done
	}
	if got, want := order.String(), "tttctttcttccccc"; got != want {
		t.Errorf("the order was %s, not %s", got, want)
	}
}
