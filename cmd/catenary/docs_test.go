package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// commandsInDocs finds them in blocks of code and within a sentence.
var commandsInDocs = regexp.MustCompile("(?m)(?:`|^ {4,6}|^web: |^ExecStart=/usr/local/bin/)(?:bundle exec )?catenary((?: +[a-z-][^`\n#&]*)?)(?:`|$|#|&)")

// Other tests run most of them; here every one has a command and flags that exist.
func TestDocs_ShowCommandsThatExist(t *testing.T) {
	found := 0
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/deploy/*", "rpc/rails/*.md"} {
		files, err := filepath.Glob(stage.ProjectRoot + "/" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range commandsInDocs.FindAllStringSubmatch(string(text), -1) {
				found++
				words, _, _ := strings.Cut(match[1]+" ", " -- ")
				command, rest, err := rootCommand(nil, nil, nil).Find(strings.Fields(words))
				if err == nil {
					err = command.ParseFlags(rest)
				}
				if arguments := command.Flags().Args(); err == nil && len(arguments) > 0 { // others only name a command
					err = command.ValidateArgs(arguments)
				}
				if err != nil {
					t.Errorf("%s shows catenary%s: %v", file, match[1], err)
				}
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d commands found", found)
	}
}
