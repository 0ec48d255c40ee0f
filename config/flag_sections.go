package config

import (
	"strings"

	"github.com/spf13/pflag"
)

// sections are what settings are about, by the first part of their key.
var sections = []struct {
	title string
	parts []string
}{
	{"Browsers", []string{""}},
	{"Calls to Rails", []string{"backend"}},
	{"Broadcasts", []string{"broadcasts"}},
	{"Tokens and Turbo", []string{"jwt", "turbo"}},
	{"Limits", []string{"limits"}},
	{"Pings, nodes, stops", []string{"ping", "nodes", "shutdown"}},
	{"Log, status, traces", []string{"log", "operations", "telemetry"}},
}

// FlagSection is the flags of settings that belong together.
type FlagSection struct {
	Title string
	Flags *pflag.FlagSet
}

// FlagSections parts flags into those of a command's own and those that
// RegisterFlags has added, section by section.
func FlagSections(all *pflag.FlagSet) (own *pflag.FlagSet, settled []FlagSection) {
	byPart := map[string]*pflag.FlagSet{}
	for _, s := range sections {
		set := newFlagSet()
		settled = append(settled, FlagSection{s.title, set})
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
	return own, settled
}

func newFlagSet() *pflag.FlagSet {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	set.SortFlags = false // but in the order in which people read them
	return set
}
