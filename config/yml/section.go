package yml

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/catenary-cable/catenary/config/erb"
	"go.yaml.in/yaml/v3"
)

// Section is what config_for returns for a file: the section of an environment, deep-merged over
// the section "shared".
type Section struct {
	Found   bool  // the file has a section for the environment or a section "shared"
	Top     []Key // the keys at the top of the file
	Entries []Entry

	file     string
	template *erb.Template
	visited  int // nodes, counted each time that an alias leads there
}

// Key is a key at the top of a file.
type Key struct {
	Name string
	Line int
}

// Entry is one leaf of a section: a scalar or a list. [Section.Value] evaluates it.
type Entry struct {
	Key  string // with the keys above it, as in redis.url
	Line int
	Node *yaml.Node
}

// Limits for a file that people write by hand. Aliases can make a small file huge.
const (
	maxFile  = 1 << 20 // bytes
	maxNodes = 5000
	maxDepth = 16
)

// Read reads the section of an environment from the text of a file.
func Read(file, source, environment string, e erb.Evaluator) (*Section, error) {
	if len(source) > maxFile {
		return nil, fmt.Errorf("%s: is larger than 1MiB: this cannot be a configuration file", file)
	}
	t, err := erb.Parse(file, source, e)
	if err != nil {
		return nil, err
	}
	s := &Section{file: file, template: t}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(t.YAML), &document); err != nil {
		return nil, s.yamlError(err)
	}
	if len(document.Content) == 0 || IsNull(document.Content[0]) {
		return s, nil
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, s.errorf(top, "the file is a %s: write environments such as production: at the top", Shape(top))
	}
	for _, wanted := range []string{"shared", environment} {
		if err := s.add(top, wanted); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// FromMap makes a section of values that are read already. Messages call it name.
func FromMap(name string, values map[string]any) (*Section, error) {
	var document yaml.Node
	if err := document.Encode(values); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &Section{file: name, template: &erb.Template{}, Found: true}
	return s, s.flatten(&s.Entries, "", &document, 0)
}

// Place is where an entry stands, as in config/cable.yml:3.
func (s *Section) Place(e Entry) string {
	if e.Line == 0 {
		return s.file
	}
	return fmt.Sprintf("%s:%d", s.file, e.Line)
}

// add merges one of the sections at the top of the file over the entries so far.
func (s *Section) add(top *yaml.Node, wanted string) error {
	pairs, err := s.pairs(top, 0)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if !slices.ContainsFunc(s.Top, func(k Key) bool { return k.Name == p.name }) {
			s.Top = append(s.Top, Key{p.name, s.line(p.key)})
		}
		if p.name != wanted {
			continue
		}
		s.Found = true
		var own []Entry
		if err := s.flatten(&own, "", p.value, 0); err != nil {
			return err
		}
		for _, e := range own {
			s.Entries = put(s.Entries, e)
		}
	}
	return nil
}

// visit counts a node, so that reading aliases of aliases comes to an end.
func (s *Section) visit(node *yaml.Node, depth int) error {
	s.visited++
	if depth > maxDepth || s.visited > maxNodes {
		return s.errorf(node, "is nested too deeply or too large: write it without aliases of aliases")
	}
	return nil
}

// flatten appends the leaves below a node to out. It follows merge keys and aliases.
func (s *Section) flatten(out *[]Entry, prefix string, node *yaml.Node, depth int) error {
	if err := s.visit(node, depth); err != nil {
		return err
	}
	if node.Kind == yaml.AliasNode {
		return s.flatten(out, prefix, node.Alias, depth+1)
	}
	if node.Kind != yaml.MappingNode {
		if prefix == "" {
			if IsNull(node) {
				return nil
			}
			return s.errorf(node, "a section must be a mapping, not a %s: write keys below it", Shape(node))
		}
		*out = put(*out, Entry{prefix, s.line(node), node})
		return nil
	}
	pairs, err := s.pairs(node, depth)
	if err != nil {
		return err
	}
	if len(pairs) == 0 && prefix != "" {
		*out = put(*out, Entry{prefix, s.line(node), node})
	}
	for _, p := range pairs {
		if err := s.flatten(out, join(prefix, p.name), p.value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// put adds an entry as a deep merge does: a value replaces the mapping of the same name, and a
// mapping the value. An empty mapping adds nothing to another mapping.
func put(entries []Entry, e Entry) []Entry {
	if e.Node.Kind == yaml.MappingNode && slices.ContainsFunc(entries, func(old Entry) bool { return strings.HasPrefix(old.Key, e.Key+".") }) {
		return entries
	}
	entries = slices.DeleteFunc(entries, func(old Entry) bool {
		return old.Key == e.Key || strings.HasPrefix(old.Key, e.Key+".") || strings.HasPrefix(e.Key, old.Key+".")
	})
	return append(entries, e)
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// line is the line in the file at which a node begins.
func (s *Section) line(n *yaml.Node) int { return s.template.Line(n.Line) }

func (s *Section) errorf(at *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", s.file, s.line(at), fmt.Errorf(format, args...))
}

var yamlLine = regexp.MustCompile(`line ([0-9]+): `)

// yamlError gives the parser's error our form. The parser quotes nothing of the file but names of
// anchors, so no secret is in it.
func (s *Section) yamlError(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	place := s.file
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, err := strconv.Atoi(m[1])
		if err == nil {
			place = fmt.Sprintf("%s:%d", s.file, s.template.Line(line))
		}
		message = strings.Replace(message, m[0], "", 1)
	}
	return fmt.Errorf("%s: invalid YAML: %s: check indentation and quotes", place, message)
}
