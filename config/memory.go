package config

import "errors"

// leastMemory is what catenary needs for itself, twice.
const leastMemory = 64 << 20

func (l *loading) checkMemory() error {
	if l.Limits.Memory != 0 && l.Limits.Memory < leastMemory {
		return mistake(l.origins["limits.memory"], "limits.memory", errors.New("is too small: write at least 64MiB, or 0 for what the control group allows"))
	}
	return nil
}
