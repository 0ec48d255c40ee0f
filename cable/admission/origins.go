package admission

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// Origins are the pages that may connect, where that is decided before Rails is
// asked; Rails decides in any case. As in Rails' allowed_request_origins an
// item is a text or a regular expression, here between slashes.
type Origins struct {
	texts    []string
	patterns []*regexp.Regexp
}

// ParseOrigins returns nil, everyone, for no items.
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
			return nil, fmt.Errorf("allowed_request_origins: %s is no regular expression: %w", item, err)
		}
		o.patterns = append(o.patterns, pattern)
	}
	return o, nil
}

// ParseRailsOrigins reads what the app tells of its own list, as Ruby's inspect
// writes it. Unread are Procs, and regular expressions that mean, or may mean,
// something else in Go: nobody comes in by them.
func ParseRailsOrigins(items []string) (o *Origins, unread []string) {
	o = &Origins{}
	for _, item := range items {
		m := rubyPattern.FindStringSubmatch(item)
		if strings.HasPrefix(item, "#<") { // a Proc
			unread = append(unread, item)
			continue
		}
		if m == nil {
			o.texts = append(o.texts, item)
			continue
		}
		source := inherited.Replace(m[1])
		pattern, err := regexp.Compile(source)
		if err == nil && strings.Contains(m[2], "i") {
			pattern, err = regexp.Compile("(?i:" + source + ")")
		}
		if err != nil || strings.Contains(m[2], "x") || otherInGo.MatchString(source) {
			unread = append(unread, item)
			continue
		}
		o.patterns = append(o.patterns, pattern)
	}
	return o, unread
}

var (
	rubyPattern = regexp.MustCompile(`(?s)^/(.*)/([imxn]*)$`)                 // Regexp#inspect
	inherited   = strings.NewReplacer("(?-mix:", "(?-i:", "(?i-mx:", "(?i:")  // Regexp#to_s, as in Regexp.union
	otherInGo   = regexp.MustCompile(`&&|\[[^\]]*\[|\(\?[a-zA-Z-]*\)|\\[QE]`) // classes in classes, flags in mid-pattern, quoting
)

// said is what Ruby finds in a header: all of its values.
func said(r *http.Request, name string) string { return strings.Join(r.Header.Values(name), ", ") }

// allow reports whether the handshake's page may connect. As in Rails a handshake
// without Origin comes from nowhere.
func (o *Origins) allow(r *http.Request) bool {
	if o == nil {
		return true
	}
	origin := said(r, "Origin")
	return origin != "" && (slices.Contains(o.texts, origin) ||
		slices.ContainsFunc(o.patterns, func(p *regexp.Regexp) bool { return p.MatchString(origin) }))
}
