package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
)

// environ is the environment. For our own keys an empty variable counts as not set, since compose
// files and the like cannot leave a variable out. For the application's ERB it is "", as in Ruby.
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

// layer reads the CATENARY_* variables, and those of Rails and of platforms that mean the same.
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
				value = strings.TrimSpace(value) // Rails trims no secret
			}
			if strings.TrimSpace(value) == "" || orchestrated(name, value) {
				continue
			}
			parsed, err := s.parse(yml.Text(translated(name, value)))
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

// translated turns Rails' log levels into ours.
func translated(name, value string) string {
	if name != "RAILS_LOG_LEVEL" {
		return value
	}
	switch value = strings.ToLower(value); value {
	case "fatal", "unknown":
		return "error"
	}
	return value
}

// unknown are the CATENARY_* variables that do not exist, as mistakes.
func (e environ) unknown(known []string) []error {
	var mistakes []error
	for name, value := range e.variables {
		if !strings.HasPrefix(name, "CATENARY_") || slices.Contains(known, name) || orchestrated(name, value) {
			continue
		}
		now, near := renamedVariable(name), Nearest(name, known)
		switch {
		case now != "":
			mistakes = append(mistakes, fmt.Errorf("the variable %s is now %s", name, now))
		case near != "":
			mistakes = append(mistakes, fmt.Errorf("unknown variable %s: did you mean %s?", name, near))
		default:
			mistakes = append(mistakes, fmt.Errorf("unknown variable %s: unset it", name))
		}
	}
	slices.SortFunc(mistakes, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return mistakes
}

// serviceLink matches the variables that Kubernetes and container links give the neighbors of a
// service named catenary.
var serviceLink = regexp.MustCompile(`^CATENARY_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?)$`)

// orchestrated reports whether a variable comes from such a service, and not from a person.
func orchestrated(name, value string) bool {
	return serviceLink.MatchString(name) || strings.HasSuffix(name, "PORT") && strings.Contains(value, "://")
}

// threads is how many requests the application runs at once, or 0 if the environment does not say.
// WEB_CONCURRENCY may be "auto", which counts as one.
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
