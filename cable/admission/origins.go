package admission

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Origins are the pages that may connect; Rails checks the origin too. As in Rails'
// allowed_request_origins, each is a string or a regular expression, here between slashes.
type Origins struct {
	texts    []string
	patterns []*regexp.Regexp
}

// ParseOrigins parses catenary's own allowed_request_origins. Without items it returns nil, which
// allows every page.
func ParseOrigins(items []string) (*Origins, error) {
	if len(items) == 0 {
		return nil, nil
	}
	o := &Origins{}
	for _, item := range items {
		if len(item) < 2 || !strings.HasPrefix(item, "/") || !strings.HasSuffix(item, "/") {
			o.texts = append(o.texts, item)
			continue
		}
		pattern, err := regexp.Compile(item[1 : len(item)-1])
		if err != nil {
			return nil, fmt.Errorf("allowed_request_origins: %s is not a valid regular expression: %w", item, err)
		}
		o.patterns = append(o.patterns, pattern)
	}
	return o, nil
}

// ParseRailsOrigins parses the app's allowed_request_origins, in the form of Ruby's inspect. Procs,
// and regular expressions that may mean something else in Go, are returned as unsupported and allow
// no page.
func ParseRailsOrigins(items []string) (o *Origins, unsupported []string) {
	o = &Origins{}
	for _, item := range items {
		if strings.HasPrefix(item, "#<") { // a Proc
			unsupported = append(unsupported, item)
			continue
		}
		m := rubyPattern.FindStringSubmatch(item)
		if m == nil {
			o.texts = append(o.texts, item)
			continue
		}
		source, flags := goFlags.Replace(m[1]), m[2]
		pattern, err := regexp.Compile(source)
		if err == nil && strings.Contains(flags, "i") {
			pattern, err = regexp.Compile("(?i:" + source + ")")
		}
		if err != nil || strings.Contains(flags, "x") || differsInGo.MatchString(source) {
			unsupported = append(unsupported, item)
			continue
		}
		o.patterns = append(o.patterns, pattern)
	}
	return o, unsupported
}

var (
	rubyPattern = regexp.MustCompile(`(?s)^/(.*)/([imxn]*)$`)                // Regexp#inspect
	goFlags     = strings.NewReplacer("(?-mix:", "(?-i:", "(?i-mx:", "(?i:") // Regexp#to_s, as in Regexp.union

	// nested classes, flags in the middle of a pattern, \Q and \E
	differsInGo = regexp.MustCompile(`&&|\[[^\]]*\[|\(\?[a-zA-Z-]*\)|\\[QE]`)
)

// header returns a header as Rack does: all values, joined.
func header(r *http.Request, name string) string { return strings.Join(r.Header.Values(name), ", ") }

// allow reports whether the handshake's page may connect. As in Rails, a handshake without Origin
// may not.
func (o *Origins) allow(r *http.Request) bool {
	if o == nil {
		return true
	}
	origin := header(r, "Origin")
	if origin == "" {
		return false
	}
	return slices.Contains(o.texts, origin) ||
		slices.ContainsFunc(o.patterns, func(p *regexp.Regexp) bool { return p.MatchString(origin) })
}
