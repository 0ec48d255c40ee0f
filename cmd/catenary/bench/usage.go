package bench

import (
	"syscall"
	"time"
)

// usage measures the CPU time of the server's processes and of the bench itself, from startUsage
// on.
type usage struct {
	processes []process
	began     time.Time
	used      []time.Duration
	own       time.Duration
}

func startUsage(processes []process) *usage {
	u := &usage{processes: processes, began: time.Now(), own: ownCPU()}
	for _, p := range processes {
		u.used = append(u.used, p.cpu())
	}
	return u
}

// record adds the figure key: CPU time in unit per count, of all processes together and, if there
// are several, of each. Without processes it adds none.
func (u *usage) record(figures map[string]float64, key string, unit time.Duration, count float64) {
	figures["bench_cores"] = float64(ownCPU()-u.own) / float64(time.Since(u.began))
	if count == 0 {
		return
	}
	for i, p := range u.processes {
		each := float64(p.cpu()-u.used[i]) / float64(unit) / count
		figures[key] += each
		if len(u.processes) > 1 {
			figures[key+"."+p.name] = each
		}
	}
}

func ownCPU() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
