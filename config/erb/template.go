package erb

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Template is a file whose ERB tags are replaced by placeholders. A placeholder is the tag's number
// between two characters that Unicode reserves for private use.
type Template struct {
	// YAML is the file's text with the placeholders.
	YAML string

	file string
	tags []tag
	Evaluator
}

type tag struct {
	expression string
	line       int // in the file
	output     int // line of the placeholder in YAML
	newlines   int // line breaks of the tag, which YAML does not have
}

var placeholder = regexp.MustCompile("\ue000([0-9]+)\ue001")

// Parse replaces the tags of a file's text. As in Rails there is no trim mode: comments vanish, and
// <%% stands for <%. A statement is an error, unless it stands in a YAML comment.
func Parse(file, source string, e Evaluator) (*Template, error) {
	if strings.ContainsAny(source, "\ue000\ue001") {
		return nil, fmt.Errorf("%s: the characters U+E000 and U+E001 are not allowed: remove them", file)
	}
	t := &Template{file: file, Evaluator: e}
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
		case endsInComment(out.String()):
		default:
			return nil, Unresolved(file, current.line, body, "it is a statement, not an expression")
		}
		t.tags = append(t.tags, current)
	}
	t.YAML = out.String()
	return t, nil
}

// endsInComment reports whether the last line of s is a YAML comment.
func endsInComment(s string) bool {
	return strings.HasPrefix(strings.TrimLeft(s[strings.LastIndexByte(s, '\n')+1:], " \t"), "#")
}

// Line turns a line of YAML into the line of the file.
func (t *Template) Line(n int) int {
	extra := 0
	for _, tag := range t.tags {
		if tag.output < n {
			extra += tag.newlines
		}
	}
	return n + extra
}

// HasPlaceholder reports whether an expression stood in a text.
func HasPlaceholder(text string) bool { return placeholder.MatchString(text) }

// Placeholders returns the placeholders of a text, in order.
func Placeholders(text string) []string { return placeholder.FindAllString(text, -1) }

// Render evaluates the placeholders of a text.
func (t *Template) Render(text string) (string, error) {
	var failed error
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		n, err := strconv.Atoi(match[len("\ue000") : len(match)-len("\ue001")])
		if err != nil || n >= len(t.tags) || failed != nil {
			return match
		}
		tag := t.tags[n]
		value, err := t.Evaluate(tag.expression[1:])
		var missing MissingVariable
		switch {
		case errors.As(err, &missing):
			failed = fmt.Errorf("%s:%d: ENV.fetch(%q) has no default, and %[3]s is not set: set it for catenary as for Rails",
				t.file, tag.line, string(missing))
		case err != nil:
			failed = Unresolved(t.file, tag.line, tag.expression, err.Error())
		}
		return value
	})
	return out, failed
}
