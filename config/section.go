package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// section is what Rails' config_for gives of a file: the section of the
// environment, deep-merged over the section "shared".
type section struct {
	*template
	found    bool     // the environment or shared has a section
	top      []string // every key at the top of the file
	topLines []int
	entries  []entry
	visited  int // nodes, each time that an alias leads there
}

// entry is one leaf of a section: a scalar or a list, not yet rendered.
type entry struct {
	key  string
	node *yaml.Node
	line int
}

// Bounds for a file that people write by hand; aliases can make a small file huge.
const (
	maxFile  = 1 << 20
	maxNodes = 5000
	maxDepth = 16
)

// readSection reads the section of an environment in the text of a file.
func readSection(file, source, environment string, e evaluator) (*section, error) {
	if len(source) > maxFile {
		return nil, fmt.Errorf("%s: is larger than %s: this cannot be a configuration", file, formatSize(maxFile))
	}
	t, err := newTemplate(file, source, e)
	if err != nil {
		return nil, err
	}
	s := &section{template: t}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(t.yaml), &document); err != nil {
		return nil, s.yamlError(err)
	}
	if len(document.Content) == 0 || isNull(document.Content[0]) {
		return s, nil
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: is a %s at the top: write environments such as production: there", file, s.line(top.Line), shape(top))
	}
	for _, wanted := range []string{"shared", environment} {
		if err := s.add(top, wanted); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// add merges one of the sections at the top over the entries so far.
func (s *section) add(top *yaml.Node, wanted string) error {
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, node := top.Content[i], top.Content[i+1]
		name, err := s.render(key.Value)
		if err != nil {
			name = key.Value // another environment's: nobody asked for it
		}
		if !slices.Contains(s.top, name) {
			s.top, s.topLines = append(s.top, name), append(s.topLines, s.line(key.Line))
		}
		if name != wanted {
			continue
		}
		s.found = true
		var own []entry
		if err := s.flatten(&own, "", node, 0); err != nil {
			return err
		}
		for _, e := range own {
			s.entries = put(s.entries, e)
		}
	}
	return nil
}

// visit counts a node, so that aliases of aliases come to an end.
func (s *section) visit(node *yaml.Node, depth int) error {
	if s.visited++; depth > maxDepth || s.visited > maxNodes {
		return fmt.Errorf("%s:%d: is nested too deeply or too large: write it plainly", s.file, s.line(node.Line))
	}
	return nil
}

// flatten lists the leaves below a node, merge keys and aliases followed.
func (s *section) flatten(out *[]entry, prefix string, node *yaml.Node, depth int) error {
	if err := s.visit(node, depth); err != nil {
		return err
	}
	if node.Kind == yaml.AliasNode {
		return s.flatten(out, prefix, node.Alias, depth+1)
	}
	if node.Kind != yaml.MappingNode {
		if prefix == "" {
			if isNull(node) {
				return nil
			}
			return fmt.Errorf("%s:%d: a section must be a mapping, not a %s", s.file, s.line(node.Line), shape(node))
		}
		*out = put(*out, entry{prefix, node, s.line(node.Line)})
		return nil
	}
	// what is merged in comes first, since a section's own keys win
	for _, merged := range []bool{true, false} {
		var seen []string
		for i := 0; i+1 < len(node.Content); i += 2 {
			key, value := node.Content[i], node.Content[i+1]
			if (key.Tag == "!!merge") != merged {
				continue
			}
			if merged {
				if err := s.flattenMerge(out, prefix, value, depth); err != nil {
					return err
				}
				continue
			}
			name, err := s.render(key.Value)
			if err != nil {
				return err
			}
			name = strings.TrimPrefix(name, ":") // :url: is the symbol that Rails makes of url: anyhow
			if slices.Contains(seen, name) {
				return fmt.Errorf("%s:%d: %s is given twice: keep one", s.file, s.line(key.Line), join(prefix, name))
			}
			seen = append(seen, name)
			if err := s.flatten(out, join(prefix, name), value, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// flattenMerge follows "<<", one mapping or a list of them of which the first wins.
func (s *section) flattenMerge(out *[]entry, prefix string, value *yaml.Node, depth int) error {
	if value.Kind != yaml.SequenceNode {
		return s.flatten(out, prefix, value, depth+1)
	}
	for _, one := range slices.Backward(value.Content) {
		if err := s.flatten(out, prefix, one, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// value renders an entry's placeholders and reads the outcome as YAML again,
// since Rails evaluates first and reads afterwards: an expression that leaves
// nothing is null, not the empty text.
func (s *section) value(e entry) (*yaml.Node, error) {
	return s.resolved(e.node, 0)
}

func (s *section) resolved(n *yaml.Node, depth int) (*yaml.Node, error) {
	if err := s.visit(n, depth); err != nil {
		return nil, err
	}
	if n.Kind == yaml.AliasNode {
		return s.resolved(n.Alias, depth+1)
	}
	out := *n
	if n.Kind != yaml.ScalarNode {
		out.Content = nil
		for _, child := range n.Content {
			c, err := s.resolved(child, depth+1)
			if err != nil {
				return nil, err
			}
			out.Content = append(out.Content, c)
		}
		return &out, nil
	}
	if !placeholder.MatchString(n.Value) {
		return &out, nil
	}
	rendered, err := s.render(n.Value)
	if err != nil {
		return nil, err
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		out.Value = rendered
		return &out, nil
	}
	var again yaml.Node
	if err := yaml.Unmarshal([]byte("k: "+rendered+"\n"), &again); err != nil ||
		again.Content[0].Kind != yaml.MappingNode || len(again.Content[0].Content) != 2 || again.Content[0].Content[1].Kind != yaml.ScalarNode {
		return nil, fmt.Errorf("%s:%d: what the expression gives is not one YAML value: put quotes around <%%= … %%>", s.file, s.line(n.Line))
	}
	out = *again.Content[0].Content[1]
	out.Line, out.Column = n.Line, n.Column
	return &out, nil
}

func put(entries []entry, e entry) []entry {
	// a value replaces the mapping of the same name, and the other way round
	entries = slices.DeleteFunc(entries, func(old entry) bool {
		return old.key == e.key || strings.HasPrefix(old.key, e.key+".") || strings.HasPrefix(e.key, old.key+".")
	})
	return append(entries, e)
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

var yamlLine = regexp.MustCompile(`line ([0-9]+): `)

// yamlError gives the parser's complaint our form: it quotes nothing of the file
// but names of anchors.
func (s *section) yamlError(err error) error {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		return fmt.Errorf("%s:%d: is not YAML: %s: mind indentation and quotes", s.file, s.line(toI(m[1])), strings.Replace(message, m[0], "", 1))
	}
	return fmt.Errorf("%s: is not YAML: %s: mind indentation and quotes", s.file, message)
}
