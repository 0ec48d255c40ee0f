package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of docs/configuration.md")

// table lists every setting as a row of Markdown.
func table() string {
	var out strings.Builder
	out.WriteString("| key | default | variable | flag | meaning |\n| --- | --- | --- | --- | --- |\n")
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	for _, s := range settings() {
		def := code(s.format(s.def))
		if s.note != "" {
			def = strings.TrimPrefix(def+"; "+s.note, "; ")
		}
		var names []string
		if !s.fileOnly {
			names = append(names, code(s.env()))
			if s.key == "listen" {
				names = append(names, "`CATENARY_PORT`")
			}
		}
		for _, name := range s.variables {
			names = append(names, code(name))
		}
		flag := s.flag()
		if flag != "" {
			flag = code("--" + flag)
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s |\n", s.key, def, strings.Join(names, ", "), flag, s.usage)
	}
	return out.String()
}

func TestDocs_ListEverySetting(t *testing.T) {
	const file, begin, end = "../docs/configuration.md", "<!-- settings -->\n", "<!-- /settings -->\n"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no %s and %s", file, begin, end)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != table() {
		t.Errorf("%s is not up to date: go test ./config -run Docs -update", file)
	}
}
