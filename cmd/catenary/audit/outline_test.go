package audit

import (
	"os"
	"path/filepath"
	"testing"
)

func TestOutline_FollowsTheNestingOfAllRubyAtHand(t *testing.T) {
	files := 0
	filepath.Walk("../../..", func(path string, info os.FileInfo, err error) error {
		if err == nil && info.IsDir() && info.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || filepath.Ext(path) != ".rb" {
			return nil
		}
		code, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if s := outline(path, string(code)); s.broken > 0 {
			t.Errorf("%s:%d: lost the nesting", path, s.broken)
		}
		return nil
	})
	if files < 20 {
		t.Errorf("found only %d files", files)
	}
}
