package cable

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/catenary-cable/catenary/"

// floors are our packages. Each imports only packages of the floors below its
// own. The commands are on top.
var floors = [][]string{
	{"cable"},
	{"cable/hub", "cable/relay"},
	{"cable/admission", "cable/broadcast", "cable/socket"},
	{"cable/admission/token", "cable/admission/turbo", "cable/history", "cable/lease", "cable/socket/descriptor", "cable/stats"},
	{"cable/internal/patience", "config", "rpc"},
	{"config/yml", "protocol", "rpc/rails", "rpc/rpctest"},
	{"config/erb"},
	{"config/internal/rubytest"},
}

// sources parses every Go file of the module, by folder.
func sources(t *testing.T) map[string]map[string]*ast.File {
	t.Helper()
	found := map[string]map[string]*ast.File{}
	err := filepath.WalkDir("..", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() && (name == "testdata" || name == "node_modules" || name != ".." && strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := path.Dir(strings.TrimPrefix(filepath.ToSlash(file), "../"))
		if found[folder] == nil {
			found[folder] = map[string]*ast.File{}
		}
		found[folder][name] = parsed
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func floorOf(folder string) int {
	return slices.IndexFunc(floors, func(floor []string) bool { return slices.Contains(floor, folder) })
}

func TestArchitecture_PackagesAreUnderTwoDozenFiles(t *testing.T) {
	for folder, files := range sources(t) {
		count := 0
		for name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				count++
			}
		}
		if count >= 24 {
			t.Errorf("%s has %d files: find what can have a room of its own", folder, count)
		}
	}
}

func TestArchitecture_ImportsRunDownwardsOnly(t *testing.T) {
	for folder, files := range sources(t) {
		if strings.HasPrefix(folder, "cmd/") {
			continue
		}
		floor := floorOf(folder)
		if floor < 0 {
			t.Errorf("%s is on no floor: add it to the list", folder)
			continue
		}
		for name, file := range files {
			for _, spec := range file.Imports {
				imported, _ := strconv.Unquote(spec.Path.Value)
				ours, isOurs := strings.CutPrefix(imported, module)
				if isOurs && ours != folder && floorOf(ours) <= floor {
					t.Errorf("%s/%s imports %s, which is not on a lower floor", folder, name, ours)
				}
			}
		}
	}
}

func TestArchitecture_PackagesAreSmallAndDocumented(t *testing.T) {
	for folder, files := range sources(t) {
		if folder != "cable" && !strings.HasPrefix(folder, "cable/") {
			continue
		}
		count, documented := 0, false
		for name, file := range files {
			if !strings.HasSuffix(name, "_test.go") {
				count++
				documented = documented || file.Doc != nil
			}
		}
		if count >= 24 {
			t.Errorf("%s has %d files", folder, count)
		}
		if !documented {
			t.Errorf("%s has no package comment", folder)
		}
	}
}

var (
	symbol   = regexp.MustCompile("`([a-z]+)\\.([A-Za-z]+)(?:\\.([A-Za-z]+))?`")
	fileName = regexp.MustCompile("`([a-z_]+\\.go)`")
	row      = regexp.MustCompile("(?m)^\\| `((?:cable|rpc)[a-z/]*)` \\|([^|]*)\\|")
)

// docs/architecture.md names only what exists, and every package.
func TestArchitecture_MatchesItsPage(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := sources(t)
	declared := map[string]bool{}
	for folder, files := range tree {
		for _, file := range files {
			for _, name := range declarations(file) {
				declared[path.Base(folder)+"."+name] = true
			}
		}
	}
	named := 0
	for _, m := range symbol.FindAllStringSubmatch(string(text), -1) {
		name := m[1] + "." + m[2]
		if m[3] != "" {
			name += "." + m[3]
		}
		if m[2] == "go" || name == "ping.timeout" { // a file, a key of the configuration
			continue
		}
		named++
		if !declared[name] {
			t.Errorf("there is no %s", name)
		}
	}
	if named < 40 {
		t.Errorf("found only %d names: does the page still have them in backticks?", named)
	}
	var packages []string
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		packages = append(packages, m[1])
		for _, file := range fileName.FindAllStringSubmatch(m[2], -1) {
			if tree[m[1]][file[1]] == nil {
				t.Errorf("there is no %s in %s", file[1], m[1])
			}
		}
	}
	for folder := range tree {
		if (folder == "cable" || strings.HasPrefix(folder, "cable/")) && !strings.Contains(folder, "/internal/") && !slices.Contains(packages, folder) {
			t.Errorf("the page does not list %s", folder)
		}
	}
}

// declarations returns "Func", "Type" and "Type.Method".
func declarations(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := d.Name.Name
			if d.Recv != nil {
				receiver := d.Recv.List[0].Type
				if star, ok := receiver.(*ast.StarExpr); ok {
					receiver = star.X
				}
				if identifier, ok := receiver.(*ast.Ident); ok {
					name = identifier.Name + "." + name
				}
			}
			names = append(names, name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok {
					names = append(names, spec.Name.Name)
				}
			}
		}
	}
	return names
}
