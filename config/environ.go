package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// environ is the environment. A variable that is empty counts as not set for
// our own keys, since compose files and the like cannot leave one out; for the
// application's ERB it is the empty text, as in Ruby.
type environ struct {
	variables map[string]string
}

func newEnviron(list []string) environ {
	e := environ{variables: map[string]string{}}
	for _, one := range list {
		if name, value, ok := strings.Cut(one, "="); ok && name != "" {
			e.variables[name] = value
		}
	}
	return e
}

// layer is what the variables say: CATENARY_* and the names that people expect.
func (e environ) layer() (*layer, error) {
	l := newLayer()
	var mistakes []error
	known := []string{"CATENARY_PORT"}
	for _, s := range settings() {
		if s.fileOnly {
			continue
		}
		names := append([]string{s.env()}, s.variables...)
		if s.key == "listen" {
			names = slices.Insert(names, 1, "CATENARY_PORT")
		}
		known = append(known, s.env())
		for _, name := range names {
			value := e.variables[name]
			if !s.secret {
				value = strings.TrimSpace(value) // Rails takes secrets to the letter
			}
			if strings.TrimSpace(value) == "" || orchestrated(name, value) {
				continue
			}
			parsed, err := s.parse(plainText(expected(name, value)))
			if err != nil {
				mistakes = append(mistakes, fmt.Errorf("the variable %s: %w", name, err))
			} else {
				l.set(s.key, parsed, name)
			}
			break
		}
	}
	return l, errors.Join(append(mistakes, e.unknown(known)...)...)
}

// expected turns the value of a variable that belongs to Rails into ours.
func expected(name, value string) string {
	if name != "RAILS_LOG_LEVEL" {
		return value
	}
	switch value = strings.ToLower(value); value {
	case "fatal", "unknown":
		return "error"
	}
	return value
}

func (e environ) unknown(known []string) []error {
	var mistakes []error
	for name, value := range e.variables {
		if !strings.HasPrefix(name, "CATENARY_") || slices.Contains(known, name) || orchestrated(name, value) {
			continue
		}
		err := fmt.Errorf("the variable %s is not known: unset it", name)
		if now := renamedVariable(name); now != "" {
			err = fmt.Errorf("the variable %s is now %s", name, now)
		} else if near := nearest(name, known); near != "" {
			err = fmt.Errorf("the variable %s is not known: is %s meant?", name, near)
		}
		mistakes = append(mistakes, err)
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return mistakes
}

// serviceLink matches what Kubernetes and container links put into the
// environment of every neighbour of a service named catenary.
var serviceLink = regexp.MustCompile(`^CATENARY_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)$`)

func orchestrated(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "PORT") && strings.Contains(value, "://")
}

// threads is how many requests the application runs at once, or 0 if the
// environment does not say. WEB_CONCURRENCY may be "auto": then one is counted.
func (e environ) threads() (int, error) {
	threads, err := e.number("RAILS_MAX_THREADS")
	if threads == 0 || err != nil {
		return 0, err
	}
	if e.variables["WEB_CONCURRENCY"] == "auto" {
		return threads, nil
	}
	workers, err := e.number("WEB_CONCURRENCY")
	return threads * max(workers, 1), err
}

func (e environ) number(name string) (int, error) {
	value := strings.TrimSpace(e.variables[name])
	if value == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 || n > 100_000 {
		return 0, fmt.Errorf("the variable %s: %q is not a whole number: write digits only", name, value)
	}
	return n, nil
}

// plainText is a text that no YAML stands around.
func plainText(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value}
}
