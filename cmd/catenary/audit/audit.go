package audit

import (
	"cmp"
	"slices"
	"strings"
)

// A Report is what audit has to say of an application.
type Report struct {
	Root        string         `json:"root"`
	Channels    []Subject      `json:"channels"`
	Connections []Subject      `json:"connections"`
	Application []Finding      `json:"application"` // about code and settings outside of them
	Notes       []Note         `json:"notes"`
	Counts      map[string]int `json:"counts"` // channels by what their code runs as
}

// A Subject is a channel or a connection.
type Subject struct {
	Name     string    `json:"name"`
	File     string    `json:"file"`
	Line     int       `json:"line"`
	Runs     Runs      `json:"runs"`
	Passed   bool      `json:"passed_through"` // by config/catenary.yml, so what does not work behind catenary does there
	Findings []Finding `json:"findings"`
	Unseen   []string  `json:"unseen,omitempty"` // what it takes from libraries, which was not read
}

// Run reads the application at path, its root or its app/channels.
func Run(path string) (*Report, error) {
	app, err := open(path)
	if err != nil {
		return nil, err
	}
	var anywhere []Finding
	for _, s := range app.sources {
		for _, rule := range fileRules {
			anywhere = append(anywhere, rule(s)...)
		}
	}
	app.graphql = slices.ContainsFunc(anywhere, func(f Finding) bool { return f.Rule == "graphql-ruby" })

	report := &Report{Root: path, Channels: []Subject{}, Connections: []Subject{}, Application: []Finding{}, Counts: map[string]int{}}
	channels, connections := app.subjects()
	told := map[*scope]bool{}
	passed := passedThrough(app.root)
	for _, s := range channels {
		channel := s.report(channelRules, anywhere, told)
		channel.Passed = passes(passed, channel.Name)
		report.Channels = append(report.Channels, channel)
	}
	for _, s := range connections {
		connection := s.report(connectionRules, anywhere, told)
		connection.Passed = passes(passed, "all")
		report.Connections = append(report.Connections, connection)
	}
	for _, f := range anywhere {
		if f.module == nil || !told[f.module] {
			report.Application = append(report.Application, f)
		}
	}
	report.Application = append(report.Application, cableYML(app.root)...)
	for _, c := range report.Channels {
		report.Counts[c.runs()]++
	}
	report.Notes = append([]Note{}, app.notes...)
	return report, nil
}

// Fails says whether something cannot work as it stands.
func (r *Report) Fails() bool {
	fails := func(f Finding) bool { return f.Runs >= PassThrough }
	of := func(s Subject) bool { return !s.Passed && slices.ContainsFunc(s.Findings, fails) }
	return slices.ContainsFunc(r.Channels, of) || slices.ContainsFunc(r.Connections, of) || slices.ContainsFunc(r.Application, fails)
}

// runs is what stands in the table.
func (s Subject) runs() string {
	if s.Passed {
		return passedWord
	}
	return s.Runs.String()
}

const passedWord = "passed through"

// subjects are the channels and connections, by name. The base class that all
// channels share is no channel of its own.
func (a *application) subjects() (channels, connections []subject) {
	for _, name := range a.names() {
		c := a.classes[name]
		if c.module {
			continue
		}
		line, missing := a.lineage(c)
		s := subject{app: a, class: c, line: line, missing: missing}
		switch {
		case s.inherits(channelBase, "Channel"):
			if name != "ApplicationCable::Channel" {
				channels = append(channels, s)
			}
		case s.inherits(connectionBase, "Connection"):
			s.connection = true
			connections = append(connections, s)
		}
	}
	return channels, connections
}

// names are the classes of app/channels, in order.
func (a *application) names() []string {
	var names []string
	for name, c := range a.classes {
		if slices.ContainsFunc(c.parts, func(p part) bool { return inChannels(p.source) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// inherits says whether the superclasses end at base, or in a library's class
// whose name says that it is of that kind.
func (s subject) inherits(base, kind string) bool {
	for c, seen := s.class, map[*class]bool{}; !seen[c]; {
		seen[c] = true
		next := s.app.resolve(c.superclass, c.name)
		if c.superclass == "" || next != nil && next == c {
			return false
		}
		if next == nil || c.superclass == base {
			return c.superclass == base || strings.HasSuffix(strings.TrimSuffix(c.superclass, "::Base"), kind)
		}
		c = next
	}
	return false
}

// report runs the rules, and takes what was found anywhere in the subject's
// code. told notes whose code that was.
func (s subject) report(rules []rule, anywhere []Finding, told map[*scope]bool) Subject {
	first := s.class.parts[0]
	r := Subject{Name: s.class.name, File: first.path, Line: first.scope.line, Findings: []Finding{}}
	for _, rule := range rules {
		r.Findings = append(r.Findings, rule(s)...)
	}
	for _, p := range s.parts() {
		told[p.scope] = true
		for _, f := range anywhere {
			if f.module == p.scope {
				r.Findings = append(r.Findings, f)
			}
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	for _, f := range r.Findings {
		r.Runs = max(r.Runs, f.Runs)
	}
	for _, name := range s.missing {
		if name != channelBase && name != connectionBase && !slices.Contains(r.Unseen, name) {
			r.Unseen = append(r.Unseen, name)
		}
	}
	return r
}
