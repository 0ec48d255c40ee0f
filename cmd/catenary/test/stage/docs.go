package stage

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Sample returns a file of docs/deploy with some of its text replaced.
func Sample(t *testing.T, name string, replace ...string) string {
	text, err := os.ReadFile(ProjectRoot + "/docs/deploy/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(string(text), replace[i]) {
			t.Fatalf("%s has no %s", name, replace[i])
		}
	}
	return strings.NewReplacer(replace...).Replace(string(text))
}

// WriteFile writes a file and returns its path.
func WriteFile(t *testing.T, folder, name, text string) string {
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// ReadDoc returns a file of docs.
func ReadDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(ProjectRoot + "/docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
