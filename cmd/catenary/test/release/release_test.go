package release

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A release takes a while to build, so that all tests install the same one.
func TestRelease(t *testing.T) {
	folder := t.TempDir()
	run(t, "", nil, stage.ProjectRoot+"/script/release", "host", folder)
	t.Run("the gem starts the binary that it carries", func(t *testing.T) {
		t.Parallel()
		home := installGem(t, folder, "catenary-rails-*-*.gem")
		isReleased(t, []string{"GEM_HOME=" + home}, home+"/bin/catenary")
	})
	t.Run("the gem is the whole installation", func(t *testing.T) { // as docs/deploy.md has it
		t.Parallel()
		block := block(t, "gem install --local")
		install, start, _ := strings.Cut(block, "bundle exec ")
		isWholeInstallation(t, folder, install, "bundle exec "+start)
	})
	t.Run("bundle add is the whole installation", func(t *testing.T) {
		t.Parallel()
		isWholeInstallation(t, folder, "bundle add catenary-rails", "bundle exec catenary -- bin/rails server")
	})
	t.Run("the plain gem starts a binary that is in PATH", func(t *testing.T) {
		t.Parallel()
		home, root := installGem(t, folder, "catenary-rails-*[0-9].gem"), t.TempDir()
		run(t, "", nil, "dpkg-deb", "--extract", only(t, folder, "catenary_*.deb"), root)
		isReleased(t, []string{"GEM_HOME=" + home, "PATH=" + home + "/bin:" + root + "/usr/bin:" + os.Getenv("PATH")}, home+"/bin/catenary")
	})
	t.Run("the plain gem says where to get a binary", func(t *testing.T) {
		t.Parallel()
		home := installGem(t, folder, "catenary-rails-*[0-9].gem")
		p, err := stage.Start(folder, []string{"GEM_HOME=" + home, "PATH=" + home + "/bin:/usr/bin:/bin"}, home+"/bin/catenary", "version")
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
		run(t, folder, nil, "apt-get", slices.Concat([]string{"--simulate", "--no-install-recommends"}, strings.Fields(block(t, "apt install"))[1:])...)
		root := t.TempDir()
		run(t, "", nil, "dpkg-deb", "--extract", only(t, folder, "catenary_*.deb"), root)
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
	t.Run("the archive brings the binary", func(t *testing.T) {
		t.Parallel()
		bin := t.TempDir()
		run(t, folder, nil, "bash", "-ec", strings.ReplaceAll(block(t, "tar -xzf"), "/usr/local/bin", bin))
		isReleased(t, nil, bin+"/catenary")
	})
}

// block returns the block of commands under "Install" in docs/deploy.md that begins with these
// words, for this machine.
func block(t *testing.T, beginning string) string {
	t.Helper()
	_, rest, found := strings.Cut(stage.ReadDoc(t, "deploy.md"), "\n      "+beginning)
	if !found {
		t.Fatalf("docs/deploy.md has no %s", beginning)
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	processor := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	return strings.NewReplacer("amd64", runtime.GOARCH, "x86_64", processor).Replace(beginning + rest)
}

// isWholeInstallation switches a new app to catenary and back, with a folder of gems in place of
// rubygems.org. catenary is not in PATH, and Rails is the one of Debian.
func isWholeInstallation(t *testing.T, folder, install, start string) {
	t.Helper()
	source, app := gemSource(t, folder), newApp(t)
	env := []string{"GEM_HOME=" + t.TempDir()}
	stage.WriteFile(t, app, "Gemfile", "source 'file://"+source+"'\ngem 'rails'\ngem 'puma'\n")
	before := read(t, app, "Gemfile")
	run(t, app, env, "bash", "-ec", strings.ReplaceAll(install, "--local ", "--local "+folder+"/"))

	if report := run(t, app, env, "bin/rails", "generate", "catenary:install"); !strings.Contains(report, "Start the app with bundle exec catenary -- bin/rails server") {
		t.Errorf("the generator reports:\n%s", report)
	}
	c := &stage.Catenary{Address: stage.FreeAddress(), Operations: stage.FreeAddress()}
	boot(t, c, app, append(env, "CATENARY_LISTEN="+c.Address, "CATENARY_OPERATIONS_LISTEN="+c.Operations), "bash", "-c", "exec "+start)
	echoes(t, c.Address, c.Process)
	c.Process.Stop(t)

	run(t, app, env, "bin/rails", "destroy", "catenary:install")
	stage.WriteFile(t, app, "Gemfile", before)
	run(t, app, env, "bundle", "install", "--local")
	address := stage.FreeAddress()
	p, err := stage.Start(app, append(env, "PORT="+stage.Port(t, address)), "bin/rails", "server")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if err := p.WaitFor(func() error { return stage.Wrote(p, "Listening on") }); err != nil {
		t.Fatal(err)
	}
	echoes(t, address, p)
}

// gemSource returns a folder that serves the gems as rubygems.org does.
func gemSource(t *testing.T, folder string) string {
	t.Helper()
	source := t.TempDir()
	gems, err := filepath.Glob(folder + "/*.gem")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(source+"/gems", 0o755); err != nil {
		t.Fatal(err)
	}
	for _, gem := range gems {
		if err := os.Link(gem, source+"/gems/"+filepath.Base(gem)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, "", nil, "gem", "generate_index", "--directory", source)
	return source
}

// newApp has Rails generate an app, as small as possible, with a channel.
func newApp(t *testing.T) string {
	t.Helper()
	app := t.TempDir() + "/shop"
	skip := strings.Fields("git bundle bootsnap spring listen javascript sprockets test active-record active-storage action-text action-mailbox")
	for i := range skip {
		skip[i] = "--skip-" + skip[i]
	}
	run(t, "", nil, "rails", append([]string{"new", app}, skip...)...)
	stage.WriteFile(t, app, "app/channels/echo_channel.rb", "class EchoChannel < ApplicationCable::Channel\n  def echo(data) = transmit(data)\nend\n")
	return app
}

func read(t *testing.T, folder, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// installGem installs a gem and returns the folder; what the gem depends on is there already.
func installGem(t *testing.T, folder, pattern string) (home string) {
	home = t.TempDir()
	run(t, "", []string{"GEM_HOME=" + home}, "gem", "install", "--local", "--no-document", only(t, folder, pattern))
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
	if got := run(t, "", env, binary, "version"); !strings.HasPrefix(got, "catenary "+version+" (go") {
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
	boot(t, c, t.TempDir(), env, binary, "--listen", c.Address, "--operations-listen", c.Operations, "--backend-transport", "link",
		"--", stage.ProjectRoot+"/script/puma", stage.ProjectRoot+"/testdata/lab")
	echoes(t, c.Address, c.Process)
	c.Process.Stop(t)
}

// boot starts catenary, which starts Rails, and waits until it is ready.
func boot(t *testing.T, c *stage.Catenary, folder string, env []string, name string, arguments ...string) {
	t.Helper()
	defer stage.BootTurn()()
	var err error
	if c.Process, err = stage.Start(folder, env, name, arguments...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Process.Kill)
	if err := c.Process.WaitFor(c.Ready); err != nil {
		t.Fatal(err)
	}
}

// echoes expects an answer from a channel.
func echoes(t *testing.T, address string, p *stage.Process) {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", "/cable", address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	const echo = `{"channel":"EchoChannel"}`
	b.Send(stage.Command("subscribe", echo, nil))
	if !b.WaitForText("confirm_subscription") { // natively commands run in parallel
		t.Fatalf("not confirmed:\n%s", p.Output.Tail())
	}
	b.Send(stage.Command("message", echo, `{"action":"echo","n":1}`))
	if !b.WaitForText(`"message":{"action":"echo","n":1}`) {
		t.Errorf("no response:\n%s", p.Output.Tail())
	}
}

// run runs a command in a folder, "" for this one, and returns its output.
func run(t *testing.T, folder string, env []string, name string, arguments ...string) string {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), env...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, output)
	}
	return string(output)
}
