package operate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// An entry is a line of the JSON log.
type entry map[string]any

func (l entry) text(key string) string { text, _ := l[key].(string); return text }

// entries parses the JSON log. Every line must be an object.
func entries(t *testing.T, log string) (lines []entry) {
	t.Helper()
	for text := range strings.Lines(log) {
		var line entry
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		lines = append(lines, line)
	}
	return lines
}

// The test has browsers, a channel with state that cannot be kept, and a Redis that is lost.
func TestLog_HasConstantMessagesAndSnakeCaseKeys(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "  log:\n    level: debug\n    format: json\n")
	node := e.Nodes[0]
	waitFor := func(message string) {
		t.Helper()
		if err := node.Process.WaitFor(func() error { return stage.Wrote(node.Process, `"msg":"`+message+`"`) }); err != nil {
			t.Fatal(err)
		}
	}
	b := e.Connect(0, "/cable?uid=7&tenant=acme")
	e.Expect(b, stage.Welcome)
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"KeepsakeChannel\"}"}`) // Rails warns about its state
	e.Expect(b, `{"identifier":"{\"channel\":\"KeepsakeChannel\"}","type":"confirm_subscription"}`)
	var registered []string
	if !stage.Await(func() bool {
		registered = regexp.MustCompile(`Registered connection \((.+?)\)`).FindStringSubmatch(e.App.Process.Output.String())
		return registered != nil
	}) {
		t.Fatalf("Rails logs no connection:\n%s", e.App.Process.Output)
	}
	e.App.Restart(t)
	b.Send(`{"command":"message","identifier":"{\"channel\":\"KeepsakeChannel\"}","data":"{\"action\":\"show\"}"}`)
	waitFor("connection opened")
	e.Redis.Down()
	waitFor("broadcasts do not arrive")
	if err := e.Redis.Up(); err != nil {
		t.Fatal(err)
	}
	waitFor("broadcasts arrive again")
	b.Close()
	waitFor("connection closed")
	node.Process.Stop(t)

	source := sourceText(t)
	var infos []string // all that an operator reads at level info
	for _, line := range entries(t, node.Process.Output.String()) {
		if _, err := time.Parse(time.RFC3339Nano, line.text("time")); err != nil || line.text("level") == "" {
			t.Errorf("%v has no time or level", line)
		}
		if !strings.Contains(source, fmt.Sprintf("%q", line.text("msg"))) {
			t.Errorf("the message %q is not constant: what varies belongs in a key", line.text("msg"))
		}
		for key := range line {
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(key) {
				t.Errorf("invalid key %s: %v", key, line)
			}
		}
		if strings.Contains(line.text("msg"), "connection ") || line["connection"] != nil {
			if !regexp.MustCompile(`^n-[0-9a-f]+:\w+$`).MatchString(line.text("connection")) {
				t.Errorf("%v has no id of the connection", line)
			}
			if line.text("name") != registered[1] {
				t.Errorf("%v does not have Rails' name of the connection: %v", line, registered)
			}
		}
		if line.text("level") == "INFO" {
			infos = append(infos, line.text("msg"))
		}
	}
	slices.Sort(infos)
	want := []string{"Rails answers", "Rails process stopped", "broadcasts arrive", "broadcasts arrive again", "catenary is listening", "catenary is stopping", "link opened"}
	infos = slices.Compact(infos)
	if !slices.Equal(infos, want) {
		t.Errorf("at level info it logs %q", infos)
	}
}

// sourceText returns the source of the program without its tests.
func sourceText(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(stage.ProjectRoot, func(path string, entry os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "testdata" || entry.Name() == "test" || strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
