package memory

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// cgroupLimit returns the lowest memory limit of the process' control groups (version 1 or 2), in
// bytes, or 0 if they set none. root is "/" except in tests.
func cgroupLimit(root string) (limit int64) {
	groups, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(groups)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			limit = lower(limit, lowest(path.Join(root, "sys/fs/cgroup"), parts[2], "memory.max", "memory.high"))
		case parts[1] == "memory":
			limit = lower(limit, lowest(path.Join(root, "sys/fs/cgroup/memory"), parts[2], "memory.limit_in_bytes"))
		}
	}
	return limit
}

// lowest returns the lowest limit of a group and its parents. In a container the path may be the
// host's, where only the mount's own files exist.
func lowest(mount, group string, files ...string) (limit int64) {
	for group = path.Join("/", group); ; group = path.Dir(group) {
		for _, file := range files {
			text, err := os.ReadFile(path.Join(mount, group, file))
			if err != nil {
				continue
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64) // an error means "max"
			if err == nil && n < unlimited {
				limit = lower(limit, n)
			}
		}
		if group == "/" {
			return limit
		}
	}
}

// unlimited is below the huge number that version 1 reports where there is no limit.
const unlimited = 1 << 60

// lower returns the lower of two limits, of which 0 means none.
func lower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
