package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
	"go.yaml.in/yaml/v3"
)

const catenaryFile = "config/catenary.yml"

// catenaryLayer reads config/catenary.yml. Unlike in cable.yml, an unknown key is a mistake.
func (l *loading) catenaryLayer() (*layer, error) {
	out := newLayer()
	source, exists, err := l.read(catenaryFile)
	if !exists || err != nil {
		return out, err
	}
	s, err := yml.Read(catenaryFile, source, l.Environment, l.evaluator())
	if err != nil {
		return out, err
	}
	byKey := settingsByKey()
	var known []string
	for key, setting := range byKey {
		if !setting.outside {
			known = append(known, key)
		}
	}
	slices.Sort(known)
	mistakes := misplaced(s, known)
	if err := gather(s, "jwt.identify"); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, entry := range s.Entries {
		place := s.Place(entry)
		setting, ok := byKey[entry.Key]
		if !ok || setting.outside {
			mistakes = append(mistakes, unknownKey(place, entry.Key, known, ok))
			continue
		}
		node, err := s.Value(entry)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		if yml.IsNull(node) && setting.kind != prefix {
			l.empty[setting.key] = place
			continue // as if it were not there: an expression may have no value
		}
		value, err := setting.parse(node)
		if err != nil {
			mistakes = append(mistakes, mistake(place, entry.Key, err))
			continue
		}
		out.set(setting.key, value, place)
	}
	if !s.Found && len(s.Top) > 0 && len(mistakes) == 0 {
		l.warn("%s has neither a section %s nor shared: catenary uses nothing of it", catenaryFile, l.Environment)
	}
	return out, errors.Join(mistakes...)
}

// misplaced finds keys of ours at the top of the file, where environments belong.
func misplaced(s *yml.Section, known []string) []error {
	var mistakes []error
	for _, top := range s.Top {
		if slices.ContainsFunc(known, func(k string) bool { return k == top.Name || strings.HasPrefix(k, top.Name+".") }) {
			mistakes = append(mistakes, fmt.Errorf("%s:%d: %s is outside of an environment: indent it below shared: or production:",
				catenaryFile, top.Line, top.Name))
		}
	}
	return mistakes
}

// unknownKey is the error for a key that the file must not have. outside: the key exists, but is
// chosen before the file is read.
func unknownKey(place, key string, known []string, outside bool) error {
	if outside {
		return fmt.Errorf("%s: %s cannot be set in a file: use its variable or flag", place, key)
	}
	if now := renamed[key]; now != "" {
		return fmt.Errorf("%s: %s is now %s", place, key, now)
	}
	if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, key+".") }) {
		return fmt.Errorf("%s: %s is a group of keys: indent them below it", place, key)
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(key, k+".") }); i >= 0 {
		return fmt.Errorf("%s: %s has no keys below it: write its value on the same line", place, known[i])
	}
	if near := Nearest(key, known); near != "" {
		return fmt.Errorf("%s: unknown key %s: did you mean %s?", place, key, near)
	}
	return fmt.Errorf("%s: unknown key %s: docs/configuration.md lists all keys", place, key)
}

// gather turns the entries below a key, whose names the application chooses, into one entry: a list
// of "name=value".
func gather(s *yml.Section, key string) error {
	var rest []yml.Entry
	one := yml.Entry{Key: key, Node: &yaml.Node{Kind: yaml.SequenceNode}}
	for _, e := range s.Entries {
		name, below := strings.CutPrefix(e.Key, key+".")
		if !below {
			rest = append(rest, e)
			continue
		}
		value, err := s.Value(e)
		if err != nil {
			return err
		}
		if value.Kind != yaml.ScalarNode || yml.IsNull(value) {
			return fmt.Errorf("%s: %s must be one string, such as gid://app/User/{sub}", s.Place(e), e.Key)
		}
		if one.Line == 0 {
			one.Line = e.Line
		}
		one.Node.Content = append(one.Node.Content, yml.Text(name+"="+value.Value))
	}
	if one.Line > 0 {
		s.Entries = append(rest, one)
	}
	return nil
}
