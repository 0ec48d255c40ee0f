package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const catenaryFile = "config/catenary.yml"

// catenaryLayer reads our own file. Unlike in cable.yml every key must be known.
func (l *loading) catenaryLayer(e evaluator) (*layer, error) {
	out := newLayer()
	source, exists, err := l.read(catenaryFile)
	if !exists || err != nil {
		return out, err
	}
	s, err := readSection(catenaryFile, source, e.environment, e)
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
	mistakes := s.misplaced(known)
	if err := s.gather("jwt.identify"); err != nil {
		mistakes = append(mistakes, err)
	}
	for _, entry := range s.entries {
		setting, ok := byKey[entry.key]
		if !ok || setting.outside {
			mistakes = append(mistakes, s.unknownKey(entry, known, ok))
			continue
		}
		node, err := s.value(entry)
		if err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		if isNull(node) && setting.kind != prefix {
			l.empty[setting.key] = s.place(entry)
			continue // as if it were not there: an expression may leave nothing
		}
		value, err := setting.parse(node)
		if err != nil {
			mistakes = append(mistakes, mistake(s.place(entry), entry.key, err))
			continue
		}
		out.set(setting.key, value, s.place(entry))
	}
	if !s.found && len(s.top) > 0 && len(mistakes) == 0 {
		l.warn("%s has neither a section %s nor shared: nothing of it is used", catenaryFile, e.environment)
	}
	return out, errors.Join(mistakes...)
}

// misplaced finds our keys at the top of the file, where environments stand.
func (s *section) misplaced(known []string) []error {
	var mistakes []error
	for i, name := range s.top {
		if slices.ContainsFunc(known, func(k string) bool { return k == name || strings.HasPrefix(k, name+".") }) {
			mistakes = append(mistakes, fmt.Errorf("%s:%d: %s stands outside of an environment: indent it below shared: or production:", s.file, s.topLines[i], name))
		}
	}
	return mistakes
}

func (s *section) unknownKey(e entry, known []string, outside bool) error {
	if outside {
		return fmt.Errorf("%s: %s cannot be set in a file, which is read after it is known: use a variable or a flag", s.place(e), e.key)
	}
	if now := renamed[e.key]; now != "" {
		return fmt.Errorf("%s: %s is now %s", s.place(e), e.key, now)
	}
	if slices.ContainsFunc(known, func(k string) bool { return strings.HasPrefix(k, e.key+".") }) {
		return fmt.Errorf("%s: %s is a group of keys: indent them below it", s.place(e), e.key)
	}
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasPrefix(e.key, k+".") }); i >= 0 {
		return fmt.Errorf("%s: %s has no keys below it: write its value beside it", s.place(e), known[i])
	}
	if near := nearest(e.key, known); near != "" {
		return fmt.Errorf("%s: unknown key %s: is %s meant?", s.place(e), e.key, near)
	}
	return fmt.Errorf("%s: unknown key %s: docs/configuration.md lists all", s.place(e), e.key)
}
