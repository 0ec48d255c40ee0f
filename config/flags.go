package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// RegisterFlags adds a flag for every setting that may stand on a command line.
// They take text; Load reads it, so that a mistake sounds the same everywhere.
func RegisterFlags(fs *pflag.FlagSet) {
	for _, s := range settings() {
		switch name := s.flag(); {
		case name == "":
		case s.kind == boolean:
			fs.Bool(name, s.def.(bool), s.usage)
		case s.key == "environment":
			fs.StringP(name, "e", s.format(s.def), s.usage)
		default:
			fs.String(name, s.format(s.def), s.usage)
		}
	}
}

// flagLayer is what was really given on the command line.
func flagLayer(fs *pflag.FlagSet) (*layer, error) {
	l := newLayer()
	if fs == nil {
		return l, nil
	}
	var mistakes []error
	for _, s := range settings() {
		given := fs.Lookup(s.flag())
		if s.flag() == "" || given == nil || !given.Changed {
			continue
		}
		value, err := s.parse(plainText(given.Value.String()))
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("--%s: %w", s.flag(), err))
			continue
		}
		l.set(s.key, value, "--"+s.flag())
	}
	return l, errors.Join(mistakes...)
}

// format writes a value as people would write it.
func (s setting) format(value any) string {
	switch value := value.(type) {
	case []string:
		return strings.Join(value, ",")
	case *string:
		if value == nil {
			return ""
		}
		return strconv.Quote(*value)
	case int64:
		return formatSize(value)
	case fmt.Stringer:
		return value.String()
	case []map[string]any:
		return ""
	}
	return fmt.Sprint(value)
}
