package rails

import (
	"io/fs"
	"path"
	"strings"
	"testing"
)

// What audit.rb forgets to require would be embedded for nothing, and missing.
func TestAuditScript_HasEveryFileOnce(t *testing.T) {
	script := AuditScript()
	err := fs.WalkDir(files, "lib", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		if file != "lib/catenary/rails/audit.rb" && strings.Count(script, string(content)) != 1 {
			t.Errorf("%s is in the script %d times", path.Base(file), strings.Count(script, string(content)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(script, `require "catenary`) {
		t.Error("the script requires the gem")
	}
	for i, r := range script {
		if r > 127 { // which Ruby reads only where the locale says so
			t.Fatalf("not ASCII: %q", script[i:min(i+40, len(script))])
		}
	}
}
