package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
	"github.com/spf13/pflag"
)

// RegisterFlags adds a flag for every setting that may stand on a command line. Flags take text,
// which Load parses, so that a mistake in a flag reads like one in a file.
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

// flagLayer reads the flags that were given on the command line.
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
		value, err := s.parse(yml.Text(given.Value.String()))
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

// FlagSection is a titled group of flags in --help.
type FlagSection struct {
	Title string
	Flags *pflag.FlagSet
}

// sections are the titles in --help, with the first parts of the keys that belong below them. The
// keys without a group, and tls, have the part "".
var sections = []struct {
	title string
	parts []string
}{
	{"Browsers", []string{""}},
	{"Calls to Rails", []string{"backend"}},
	{"Broadcasts", []string{"broadcasts"}},
	{"Tokens and Turbo", []string{"jwt", "turbo"}},
	{"Limits", []string{"limits"}},
	{"Pings, nodes, shutdown", []string{"ping", "nodes", "shutdown"}},
	{"Log, status, traces", []string{"log", "operations", "telemetry"}},
}

// FlagSections splits flags into a command's own and, section by section, those that RegisterFlags
// has added.
func FlagSections(all *pflag.FlagSet) (own *pflag.FlagSet, grouped []FlagSection) {
	byPart := map[string]*pflag.FlagSet{}
	for _, s := range sections {
		set := newFlagSet()
		grouped = append(grouped, FlagSection{s.title, set})
		for _, part := range s.parts {
			byPart[part] = set
		}
	}
	taken := map[string]bool{}
	for _, s := range settings() {
		f := all.Lookup(s.flag())
		if f == nil {
			continue
		}
		part, _, nested := strings.Cut(s.key, ".")
		if !nested || part == "tls" {
			part = ""
		}
		byPart[part].AddFlag(f)
		taken[f.Name] = true
	}
	own = newFlagSet()
	all.VisitAll(func(f *pflag.Flag) {
		if !taken[f.Name] {
			own.AddFlag(f)
		}
	})
	return own, grouped
}

func newFlagSet() *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false // but in the order of the table
	return set
}
