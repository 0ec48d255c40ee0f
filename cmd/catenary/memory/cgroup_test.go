package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCgroup_TakesTheLowestLimitOfEitherVersion(t *testing.T) {
	const v2 = "0::/app.slice/catenary.service\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"none":                 {nil, 0},
		"v2, no limit":         {map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/app.slice/catenary.service/memory.max": "max\n"}, 0},
		"v2":                   {map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/app.slice/catenary.service/memory.max": "1000000\n"}, 1000000},
		"v2, throttled before": {map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/app.slice/catenary.service/memory.max": "1000000\n", "sys/fs/cgroup/app.slice/catenary.service/memory.high": "900000\n"}, 900000},
		"v2, of the slice":     {map[string]string{"proc/self/cgroup": v2, "sys/fs/cgroup/app.slice/memory.max": "500000\n", "sys/fs/cgroup/app.slice/catenary.service/memory.max": "1000000\n"}, 500000},
		"v2, in a container":   {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1000000\n"}, 1000000},
		"v1":                   {map[string]string{"proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/1\n0::/\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1000000\n"}, 1000000},
		"v1, in a container":   {map[string]string{"proc/self/cgroup": "4:memory:/docker/1\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "1000000\n"}, 1000000},
		"v1, no limit":         {map[string]string{"proc/self/cgroup": "4:memory:/docker/1\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
	} {
		root := t.TempDir()
		for file, text := range c.files {
			file = filepath.Join(root, file)
			os.MkdirAll(filepath.Dir(file), 0o755)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := cgroupLimit(root); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
