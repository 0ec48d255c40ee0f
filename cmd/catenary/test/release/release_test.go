package release

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A release takes a while to build, so that all tests install the same one.
func TestRelease(t *testing.T) {
	folder := t.TempDir()
	run(t, nil, stage.ProjectRoot+"/script/release", "host", folder)
	t.Run("the gem starts the binary that it carries", func(t *testing.T) {
		t.Parallel()
		home := installGem(t, folder, "catenary-rails-*-*.gem")
		env := []string{"GEM_HOME=" + home, "RUBYLIB=" + only(t, home, "gems/catenary-rails-*-*/lib")}
		isReleased(t, env, home+"/bin/catenary")
		serves(t, env, home+"/bin/catenary")
	})
	t.Run("the plain gem says where to get a binary", func(t *testing.T) {
		t.Parallel()
		home := installGem(t, folder, "catenary-rails-*[0-9].gem")
		p, err := stage.Start(folder, []string{"GEM_HOME=" + home}, home+"/bin/catenary", "version")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		if !p.WaitForExit() || p.Command.ProcessState.ExitCode() != 1 {
			t.Errorf("it exited with: %v", p.Err)
		}
		if err := stage.Mentions(p.Output.String(), []string{"catenary: ", "x86_64-linux, aarch64-linux, x86_64-darwin, arm64-darwin", "bundle lock --add-platform", "docs/deploy.md#install"}); err != nil {
			t.Error(err)
		}
		if !strings.Contains(stage.ReadDoc(t, "deploy.md"), "\n## Install\n") {
			t.Error("docs/deploy.md has no such section")
		}
	})
	t.Run("the .deb brings the binary and its units", func(t *testing.T) {
		t.Parallel()
		root := t.TempDir()
		run(t, nil, "dpkg-deb", "--extract", only(t, folder, "catenary_*.deb"), root)
		binary := root + "/usr/bin/catenary"
		isReleased(t, nil, binary)
		isStatic(t, binary)
		unit, err := os.ReadFile(root + "/usr/lib/systemd/system/catenary.service")
		if err != nil {
			t.Fatal(err)
		}
		started := regexp.MustCompile(`(?m)^ExecStart=(\S+)$`).FindStringSubmatch(string(unit))
		if started == nil || root+started[1] != binary {
			t.Errorf("the unit starts %q", started)
		}
		for _, file := range []string{"/usr/lib/systemd/system/catenary.socket", "/etc/catenary.env", "/usr/share/doc/catenary/copyright", "/usr/share/doc/catenary/THIRD_PARTY_NOTICES.txt", "/usr/share/doc/catenary/examples/nginx.conf"} {
			if _, err := os.Stat(root + file); err != nil {
				t.Error(err)
			}
		}
		serves(t, []string{"RUBYLIB=" + stage.ProjectRoot + "/rpc/rails/lib"}, binary)
	})
}

// installGem installs a gem and returns the folder; what the gem depends on is there already.
func installGem(t *testing.T, folder, pattern string) (home string) {
	home = t.TempDir()
	run(t, []string{"GEM_HOME=" + home}, "gem", "install", "--local", "--no-document", only(t, folder, pattern))
	return home
}

func only(t *testing.T, folder, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, pattern))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s should be one file, and is %v", pattern, files)
	}
	return files[0]
}

// isReleased expects the version of the gem, which script/release gives to the binary.
func isReleased(t *testing.T, env []string, binary string) {
	t.Helper()
	source, err := os.ReadFile(stage.ProjectRoot + "/rpc/rails/lib/catenary/rails/version.rb")
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(source), `VERSION = "`)
	version, _, _ = strings.Cut(version, `"`)
	if got := run(t, env, binary, "version"); !strings.HasPrefix(got, "catenary "+version+" (go") {
		t.Errorf("catenary %s calls itself %s", version, got)
	}
}

// isStatic expects a binary that no dynamic linker loads, so that it runs with any libc, or none.
func isStatic(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic linker")
		}
	}
	if file.Section(".symtab") != nil {
		t.Error("it is not stripped")
	}
}

// serves has catenary start the laboratory app, and expects it to answer a browser over a link.
func serves(t *testing.T, env []string, binary string) {
	t.Helper()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	c := &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
	env = append(env, stage.WithSecret[0], "RAILS="+stage.RailsVersion(), "REDIS_URL="+redis.URL())
	defer stage.BootTurn()()
	c.Process, err = stage.Start(t.TempDir(), env, binary, "--listen", c.Address, "--operations-listen", c.Operations, "--backend-transport", "link",
		"--", stage.ProjectRoot+"/script/puma", stage.ProjectRoot+"/testdata/lab")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Process.Kill)
	if err := c.Process.WaitFor(c.Ready); err != nil {
		t.Fatal(err)
	}
	b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const echo = `{"channel":"EchoChannel"}`
	b.Send(stage.Command("subscribe", echo, nil))
	b.Send(stage.Command("message", echo, `{"action":"echo","n":1}`))
	if !b.WaitForText(`"message":{"action":"echo","n":1}`) {
		t.Errorf("no response:\n%s", c.Process.Output.Tail())
	}
	c.Process.Stop(t)
}

func run(t *testing.T, env []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Env = append(os.Environ(), env...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return string(output)
}
