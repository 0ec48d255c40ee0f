package main

import (
	"os"
	"path"
	"strconv"
	"strings"
)

// cgroupMemory is the least memory that the process' control groups, version 1
// or 2, allow, in bytes; 0 if they allow any. root is "/".
func cgroupMemory(root string) (least int64) {
	list, err := os.ReadFile(path.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(list)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[0] == "0" && parts[1] == "":
			least = lower(least, strictest(path.Join(root, "sys/fs/cgroup"), parts[2], "memory.max", "memory.high"))
		case parts[1] == "memory":
			least = lower(least, strictest(path.Join(root, "sys/fs/cgroup/memory"), parts[2], "memory.limit_in_bytes"))
		}
	}
	return least
}

// strictest looks at a group and those around it. In a container the path may be
// the host's, and only the mount's own files are there.
func strictest(mount, group string, files ...string) (least int64) {
	for group = path.Join("/", group); ; group = path.Dir(group) {
		for _, file := range files {
			text, err := os.ReadFile(path.Join(mount, group, file))
			if err != nil {
				continue
			}
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n < unlimited { // else "max"
				least = lower(least, n)
			}
		}
		if group == "/" {
			return least
		}
	}
}

// unlimited is less than what version 1 says where there is no limit.
const unlimited = 1 << 60

func lower(a, b int64) int64 {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
