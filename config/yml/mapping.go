package yml

import (
	"regexp"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/config/erb"
	"go.yaml.in/yaml/v3"
)

// pair is a key of a mapping with its value.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs are the keys of a mapping as Ruby's hash has them: "<<" puts the keys of another mapping
// over those that stand before it, whole values at a time.
func (s *Section) pairs(node *yaml.Node, depth int) ([]pair, error) {
	if err := s.visit(node, depth); err != nil {
		return nil, err
	}
	var pairs []pair
	set := func(p pair) {
		i := slices.IndexFunc(pairs, func(other pair) bool { return other.name == p.name })
		if i < 0 {
			pairs = append(pairs, p)
			return
		}
		pairs[i] = p
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
			return nil, s.errorf(key, "%s is given twice: keep one", name)
		}
		own = append(own, name)
		set(pair{name, key, value})
	}
	return pairs, nil
}

// merged are the keys that "<<" brings. Its value is a mapping or a list of mappings, of which the
// first wins.
func (s *Section) merged(key, value *yaml.Node, depth int) ([]pair, error) {
	if key.Tag != "!!merge" {
		return nil, s.errorf(key, "Ruby may not read this << as a merge: remove its quotes")
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
	return nil, s.errorf(key, "<< needs a mapping: write <<: *name")
}

// plainKey matches a key that Ruby reads as nothing but a string.
var plainKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_./-]*$`)

// keyName is a key with its expressions evaluated. For Rails a symbol is the same as a string.
func (s *Section) keyName(key *yaml.Node) (string, error) {
	if key.Kind != yaml.ScalarNode {
		return "", s.errorf(key, "a key must be one word")
	}
	name, err := s.template.Render(key.Value)
	if err == nil && erb.HasPlaceholder(key.Value) && !plainKey.MatchString(name) {
		err = erb.Unresolved(s.file, s.line(key), "= …", "its value is a key, and not a plain word")
	}
	return strings.TrimPrefix(name, ":"), err
}
