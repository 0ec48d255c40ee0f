package stage

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"testing"
)

// PostgreSQL is a server for one test, on a Unix socket in its folder.
type PostgreSQL struct {
	folder  string
	Process *Process
}

// StartPostgreSQL starts a server with an empty database, until the end of the test.
func StartPostgreSQL(t *testing.T) *PostgreSQL {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(found) == 0 {
		t.Fatal("PostgreSQL is missing: script/install postgresql")
	}
	folder, err := os.MkdirTemp("", "catenary-postgresql")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	data := filepath.Join(folder, "data")
	var as []string // PostgreSQL does not run as root
	if os.Getuid() == 0 {
		owner, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(owner.Uid)
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(folder, uid, gid); err != nil {
			t.Fatal(err)
		}
		as = []string{"setpriv", "--reuid", owner.Uid, "--regid", owner.Gid, "--clear-groups"}
	}
	initdb := append(as[:len(as):len(as)], found[0]+"/initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
	if output, err := exec.Command(initdb[0], initdb[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	p := &PostgreSQL{folder: folder}
	run := append(as[:len(as):len(as)], found[0]+"/postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off")
	if p.Process, err = Start(os.TempDir(), nil, run[0], run[1:]...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Process.Kill)
	if err := p.Process.WaitFor(func() error { return p.Do("SELECT 1") }); err != nil {
		t.Fatal(err)
	}
	return p
}

// Env returns the environment with which Active Record finds the server.
func (p *PostgreSQL) Env() []string {
	return []string{"DATABASE_URL=postgresql:///postgres?pool=20", "PGHOST=" + p.folder, "PGUSER=postgres"}
}

// Do runs SQL.
func (p *PostgreSQL) Do(sql string) error {
	output, err := exec.Command("psql", "-h", p.folder, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql).CombinedOutput()
	if err != nil {
		return fmt.Errorf("psql: %w: %s", err, output)
	}
	return nil
}
