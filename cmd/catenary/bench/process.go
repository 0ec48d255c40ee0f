package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// process is one of the server's, with its children: Puma's workers, or Rails behind "catenary --
// bin/rails server". It is measured through /proc.
type process struct {
	name string
	pid  int
}

// parseProcess reads "123" or "puma=123".
func parseProcess(text string) (process, error) {
	name, number, named := strings.Cut(text, "=")
	if !named {
		name, number = "server", text
	}
	pid, err := strconv.Atoi(number)
	if err != nil || name == "" {
		return process{}, fmt.Errorf("--pid %s is not of the form 123 or puma=123", text)
	}
	if _, err := os.Stat(fmt.Sprintf("/proc/%d/stat", pid)); err != nil {
		return process{}, fmt.Errorf("--pid %s: no such process in /proc; "+
			"it must run on this machine, under Linux", text)
	}
	return process{name, pid}, nil
}

// family returns the process ids of the process and all its descendants.
func (p process) family() []int {
	family := []int{p.pid}
	for i := 0; i < len(family); i++ {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", family[i]))
		for _, list := range lists {
			for _, child := range strings.Fields(readProc(list)) {
				if pid, err := strconv.Atoi(child); err == nil && !slices.Contains(family, pid) {
					family = append(family, pid)
				}
			}
		}
	}
	return family
}

// cpu returns the CPU time used so far, in user and system mode, to 10 ms.
func (p process) cpu() (used time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Linux runs Go
	for _, pid := range p.family() {
		stat := readProc(fmt.Sprintf("/proc/%d/stat", pid))
		fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
		if len(fields) < 13 {
			continue // it has just exited
		}
		user, _ := strconv.Atoi(fields[11])
		system, _ := strconv.Atoi(fields[12])
		used += time.Duration(user+system) * tick
	}
	return used
}

// memory returns the resident memory in KB. Shared memory counts in proportion, if the kernel
// allows reading that.
func (p process) memory() (kb float64) {
	for _, pid := range p.family() {
		size := field(readProc(fmt.Sprintf("/proc/%d/smaps_rollup", pid)), "Pss:")
		if size == 0 {
			size = field(readProc(fmt.Sprintf("/proc/%d/status", pid)), "VmRSS:")
		}
		kb += size
	}
	return kb
}

func field(text, name string) float64 {
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, name); found {
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			return kb
		}
	}
	return 0
}

func readProc(path string) string {
	text, _ := os.ReadFile(path) // a process may exit at any time
	return string(text)
}
