package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// template is a file whose ERB tags have been set aside, so that it can be read
// as YAML first and only the expressions that matter be evaluated. A tag
// becomes a placeholder between two private characters.
type template struct {
	file string
	yaml string
	tags []tag
	evaluator
}

type tag struct {
	expression string
	line       int // in the file
	output     int // line of the placeholder in yaml
	newlines   int // lines of the tag that are gone from yaml
}

var placeholder = regexp.MustCompile("\ue000([0-9]+)\ue001")

// newTemplate sets aside the tags of a file's text. As in Rails there is no
// trim mode: comments vanish, and <%% is a literal.
func newTemplate(file, source string, e evaluator) (*template, error) {
	if strings.ContainsAny(source, "\ue000\ue001") {
		return nil, fmt.Errorf("%s: the characters U+E000 and U+E001 are not allowed", file)
	}
	t := &template{file: file, evaluator: e}
	var out strings.Builder
	line, outputLine := 1, 1
	write := func(s string) {
		out.WriteString(s)
		line += strings.Count(s, "\n")
		outputLine += strings.Count(s, "\n")
	}
	for {
		before, rest, found := strings.Cut(source, "<%")
		write(before)
		if !found {
			break
		}
		if rest, found = strings.CutPrefix(rest, "%"); found {
			write("<%")
			source = rest
			continue
		}
		body, after, found := strings.Cut(rest, "%>")
		if !found {
			return nil, fmt.Errorf("%s:%d: <%% has no %%>: close it", file, line)
		}
		source = after
		current := tag{expression: body, line: line, output: outputLine, newlines: strings.Count(body, "\n")}
		line += current.newlines
		switch {
		case strings.HasPrefix(body, "#"):
		case strings.HasPrefix(body, "="):
			fmt.Fprintf(&out, "\ue000%d\ue001", len(t.tags))
		case insideComment(out.String()):
		default:
			return nil, unresolved(file, current.line, body, "it is a statement, of which only Ruby knows what it leaves in the file")
		}
		t.tags = append(t.tags, current)
	}
	t.yaml = out.String()
	return t, nil
}

// insideComment tells whether a text ends within a YAML comment on a line of its own.
func insideComment(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s[strings.LastIndexByte(s, '\n')+1:], " \t"), "#")
}

// line turns a line of the YAML into the line of the file.
func (t *template) line(n int) int {
	extra := 0
	for _, tag := range t.tags {
		if tag.output < n {
			extra += tag.newlines
		}
	}
	return n + extra
}

// render evaluates the placeholders of one text.
func (t *template) render(s string) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(s, func(match string) string {
		n, err := strconv.Atoi(match[len("\ue000") : len(match)-len("\ue001")])
		if err != nil || n >= len(t.tags) || failed != nil {
			return match
		}
		tag := t.tags[n]
		value, err := t.text(tag.expression[1:])
		var missing missingVariable
		switch {
		case errors.As(err, &missing):
			failed = fmt.Errorf("%s:%d: ENV.fetch(%q) has no default, and %[3]s is not set: set it for catenary as for Rails", t.file, tag.line, string(missing))
		case err != nil:
			failed = unresolved(t.file, tag.line, tag.expression, err.Error())
		}
		return value
	})
	return out, failed
}
