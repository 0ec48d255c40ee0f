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

// An entry is one line of the JSON log.
type entry map[string]any

func (l entry) text(key string) string { text, _ := l[key].(string); return text }

// entries reads the log as a machine does: every line is one object.
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

// TestLog_TellsADay has browsers, a channel that fails, and a Redis that is lost, and reads what is left of it as JSON.
func TestLog_TellsADay(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "  log:\n    level: debug\n    format: json\n")
	node := e.Nodes[0]
	awaits := func(message string) {
		t.Helper()
		if err := node.Process.WaitFor(func() error { return stage.Wrote(node.Process, `"msg":"`+message+`"`) }); err != nil {
			t.Fatal(err)
		}
	}
	b := e.Connect(0, "/cable?uid=7&tenant=acme")
	e.Expect(b, stage.Welcome)
	b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"KeepsakeChannel\"}"}`) // of which Rails warns
	e.Expect(b, `{"identifier":"{\"channel\":\"KeepsakeChannel\"}","type":"confirm_subscription"}`)
	var registered []string
	if !stage.Await(func() bool {
		registered = regexp.MustCompile(`Registered connection \((.+?)\)`).FindStringSubmatch(e.App.Process.Output.String())
		return registered != nil
	}) {
		t.Fatalf("Rails registers no connection:\n%s", e.App.Process.Output)
	}
	e.App.Restart(t)
	b.Send(`{"command":"message","identifier":"{\"channel\":\"KeepsakeChannel\"}","data":"{\"action\":\"show\"}"}`)
	awaits("connection opened")
	e.Redis.Down()
	awaits("broadcasts do not arrive")
	if err := e.Redis.Up(); err != nil {
		t.Fatal(err)
	}
	awaits("broadcasts arrive again")
	b.Close()
	awaits("connection ended")
	node.Process.Stop(t)

	source := sourceText(t)
	good := []string{} // what an operator reads on a good day
	for _, line := range entries(t, node.Process.Output.String()) {
		if _, err := time.Parse(time.RFC3339Nano, line.text("time")); err != nil || line.text("level") == "" {
			t.Errorf("%v has no time or no level", line)
		}
		if !strings.Contains(source, fmt.Sprintf("%q", line.text("msg"))) {
			t.Errorf("the message %q stands nowhere in the source: what changes belongs into a key", line.text("msg"))
		}
		for key := range line {
			if !regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`).MatchString(key) {
				t.Errorf("%s is no key: %v", key, line)
			}
		}
		if strings.Contains(line.text("msg"), "connection ") || line["connection"] != nil {
			if !regexp.MustCompile(`^n-[0-9a-f]+:\w+$`).MatchString(line.text("connection")) {
				t.Errorf("%v names no connection", line)
			}
			if line.text("name") != registered[1] {
				t.Errorf("%v does not name the connection as Rails does: %v", line, registered)
			}
		}
		if line.text("level") == "INFO" {
			good = append(good, line.text("msg"))
		}
	}
	slices.Sort(good)
	want := []string{"Rails answers", "a Rails process has stopped", "broadcasts arrive", "broadcasts arrive again", "catenary listens", "catenary stops", "linked to a Rails process"}
	if good = slices.Compact(good); !slices.Equal(good, want) {
		t.Errorf("at info it says %q", good)
	}
}

// sourceText is the text of the program, without its tests.
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
