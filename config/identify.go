package config

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// gather makes one entry of all those below key, a list of "name=value": what is
// a mapping in the file, whose keys the application chooses.
func (s *section) gather(key string) error {
	var rest []entry
	one := entry{key: key, node: &yaml.Node{Kind: yaml.SequenceNode}}
	for _, e := range s.entries {
		name, below := strings.CutPrefix(e.key, key+".")
		if !below {
			rest = append(rest, e)
			continue
		}
		value, err := s.value(e)
		if err != nil {
			return err
		}
		if value.Kind != yaml.ScalarNode || isNull(value) {
			return fmt.Errorf("%s: %s must be one text, such as gid://app/User/{sub}", s.place(e), e.key)
		}
		if one.line == 0 {
			one.line = e.line
		}
		one.node.Content = append(one.node.Content, plainText(name+"="+value.Value))
	}
	if one.line > 0 {
		s.entries = append(rest, one)
	}
	return nil
}

var (
	identifier = regexp.MustCompile(`^[a-z_]\w*$`)
	// A claim may be a part of a text, but only the id of a Global ID: a token
	// must not choose the class.
	identityText = regexp.MustCompile(`^([^{}]|\{[^{}]+\})+$`)
	identityID   = regexp.MustCompile(`^gid://[\w-]+/[\w:]+/(\{[^{}]+\}|[\w.~%+-])+$`)
)

// parseIdentities takes "identifier=template" each, with claims in braces.
func parseIdentities(n *yaml.Node) ([]string, error) {
	items, err := parseList(n)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, item := range items {
		name, template, _ := strings.Cut(item, "=")
		form := identityText
		if strings.HasPrefix(template, "gid:") {
			form = identityID
		}
		switch {
		case !identifier.MatchString(name) || !form.MatchString(template):
			return nil, fmt.Errorf("has %q: write an identifier and what it is made of, such as current_user: gid://app/User/{sub}", item)
		case seen[name]:
			return nil, fmt.Errorf("names %s twice: keep one", name)
		}
		seen[name] = true
	}
	return items, nil
}
