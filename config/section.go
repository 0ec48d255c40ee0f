package config

import (
	"errors"
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
	pairs, err := s.pairs(top, 0)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if !slices.Contains(s.top, p.name) {
			s.top, s.topLines = append(s.top, p.name), append(s.topLines, s.line(p.key.Line))
		}
		if p.name != wanted {
			continue
		}
		s.found = true
		var own []entry
		if err := s.flatten(&own, "", p.value, 0); err != nil {
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
	pairs, err := s.pairs(node, depth)
	if err != nil {
		return err
	}
	if len(pairs) == 0 && prefix != "" {
		*out = put(*out, entry{prefix, node, s.line(node.Line)})
	}
	for _, p := range pairs {
		if err := s.flatten(out, join(prefix, p.name), p.value, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// pair is a key of a mapping with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs are the keys of a mapping as Ruby's hash has them: "<<" brings those of
// other mappings over the keys that stand before it, whole values at a time.
func (s *section) pairs(node *yaml.Node, depth int) ([]pair, error) {
	if err := s.visit(node, depth); err != nil {
		return nil, err
	}
	var pairs []pair
	set := func(p pair) {
		if i := slices.IndexFunc(pairs, func(other pair) bool { return other.name == p.name }); i >= 0 {
			pairs[i] = p
			return
		}
		pairs = append(pairs, p)
	}
	var own []string
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Value == "<<" {
			merged, err := s.merged(key, value, depth)
			if err != nil {
				return nil, err
			}
			for _, p := range merged {
				set(p)
			}
			continue
		}
		name, err := s.keyName(key)
		if err != nil {
			return nil, err
		}
		if slices.Contains(own, name) {
			return nil, fmt.Errorf("%s:%d: %s is given twice: keep one", s.file, s.line(key.Line), name)
		}
		own = append(own, name)
		set(pair{name, key, value})
	}
	return pairs, nil
}

// merged are the keys that "<<" brings: of one mapping, or of a list of them, of
// which the first wins.
func (s *section) merged(key, value *yaml.Node, depth int) ([]pair, error) {
	if key.Tag != "!!merge" {
		return nil, fmt.Errorf("%s:%d: Ruby may take this << for another key: take its quotes away", s.file, s.line(key.Line))
	}
	from := value
	if from.Kind == yaml.AliasNode {
		from = from.Alias
	}
	switch {
	case from.Kind == yaml.MappingNode:
		return s.pairs(from, depth+1)
	case value.Kind == yaml.SequenceNode:
		var all []pair
		for _, one := range slices.Backward(value.Content) {
			pairs, err := s.merged(key, one, depth+1)
			if err != nil {
				return nil, err
			}
			all = append(all, pairs...)
		}
		return all, nil
	}
	return nil, fmt.Errorf("%s:%d: << needs a mapping: write <<: *name", s.file, s.line(key.Line))
}

// plainKey is a key of which Ruby makes no other value than the text.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// keyName is a key with its placeholders evaluated. Of a symbol Rails makes the
// same as of a text.
func (s *section) keyName(key *yaml.Node) (string, error) {
	if key.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("%s:%d: a key must be one word", s.file, s.line(key.Line))
	}
	name, err := s.render(key.Value)
	if err == nil && placeholder.MatchString(key.Value) && !plainKey.MatchString(name) {
		err = unresolved(s.file, s.line(key.Line), "= …", "it is a key, and gives no plain word")
	}
	return strings.TrimPrefix(name, ":"), err
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
	rendered, err := s.renderWithin(n)
	if err != nil {
		return nil, err
	}
	if quoted(n) {
		out.Value = rendered
		return &out, nil
	}
	block, err := scalarIn("k: " + rendered + "\n")
	flow, flowErr := scalarIn("{k: " + rendered + " }\n")
	if err != nil || flowErr != nil || block.Value != flow.Value || block.Style != flow.Style || block.Tag != flow.Tag {
		return nil, fmt.Errorf("%s:%d: what the expression gives is not one YAML value: put quotes around <%%= … %%>", s.file, s.line(n.Line))
	}
	out = *block
	out.Line, out.Column = n.Line, n.Column
	return &out, nil
}

// renderWithin evaluates the placeholders of a scalar, provided that what they
// give cannot end it.
func (s *section) renderWithin(n *yaml.Node) (string, error) {
	ends := "\r\n"
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		ends += `"\`
	case n.Style&yaml.SingleQuotedStyle != 0:
		ends += "'"
	case quoted(n):
		return "", fmt.Errorf("%s:%d: an expression in a block of text is for Ruby to evaluate", s.file, s.line(n.Line))
	}
	for _, match := range placeholder.FindAllString(n.Value, -1) {
		if value, err := s.render(match); err != nil {
			return "", err
		} else if strings.ContainsAny(value, ends) {
			return "", fmt.Errorf("%s:%d: what the expression gives ends the text that it stands in: put it in other quotes", s.file, s.line(n.Line))
		}
	}
	return s.render(n.Value)
}

// scalarIn is the value of the one key in a text of YAML.
func scalarIn(source string) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(source), &document); err != nil {
		return nil, err
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode || len(top.Content) != 2 || top.Content[1].Kind != yaml.ScalarNode {
		return nil, errors.New("it is not one value")
	}
	return top.Content[1], nil
}

// quoted tells whether a scalar is text, whatever it looks like.
func quoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

func put(entries []entry, e entry) []entry {
	// a value replaces the mapping of the same name, and the other way round; an empty mapping adds nothing to another
	if e.node.Kind == yaml.MappingNode && slices.ContainsFunc(entries, func(old entry) bool { return strings.HasPrefix(old.key, e.key+".") }) {
		return entries
	}
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
