package yml

import (
	"errors"
	"strings"

	"github.com/catenary-cable/catenary/config/erb"
	"go.yaml.in/yaml/v3"
)

// Value evaluates the expressions of an entry and parses the result as YAML, because Rails
// evaluates a file first and parses it then: an expression without a value leaves null, not "".
func (s *Section) Value(e Entry) (*yaml.Node, error) { return s.resolved(e.Node, 0) }

func (s *Section) resolved(n *yaml.Node, depth int) (*yaml.Node, error) {
	if err := s.visit(n, depth); err != nil {
		return nil, err
	}
	if n.Kind == yaml.AliasNode {
		return s.resolved(n.Alias, depth+1)
	}
	out := *n
	if n.Kind != yaml.ScalarNode {
		out.Content = nil
		for _, child := range n.Content {
			c, err := s.resolved(child, depth+1)
			if err != nil {
				return nil, err
			}
			out.Content = append(out.Content, c)
		}
		return &out, nil
	}
	if !erb.HasPlaceholder(n.Value) {
		return &out, nil
	}
	rendered, err := s.renderWithin(n)
	if err != nil {
		return nil, err
	}
	if Quoted(n) {
		out.Value = rendered
		return &out, nil
	}
	// The value may stand in a block or between braces, and has to mean the same in both.
	block, err := scalarIn("k: " + rendered + "\n")
	flow, flowErr := scalarIn("{k: " + rendered + " }\n")
	if err != nil || flowErr != nil || block.Value != flow.Value || block.Style != flow.Style || block.Tag != flow.Tag {
		return nil, s.errorf(n, "the value of the expression is not one YAML value: put quotes around <%%= … %%>")
	}
	out = *block
	out.Line, out.Column = n.Line, n.Column
	return &out, nil
}

// renderWithin evaluates the placeholders of a scalar. A value that would end the scalar is an
// error.
func (s *Section) renderWithin(n *yaml.Node) (string, error) {
	ends := "\r\n"
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		ends += `"\`
	case n.Style&yaml.SingleQuotedStyle != 0:
		ends += "'"
	case Quoted(n):
		return "", s.errorf(n, "catenary evaluates no expression in a block of text (| or >): put it in quotes")
	}
	for _, one := range erb.Placeholders(n.Value) {
		value, err := s.template.Render(one)
		if err != nil {
			return "", err
		}
		if strings.ContainsAny(value, ends) {
			return "", s.errorf(n, "the value of the expression has a quote or a line break in it: use the other kind of quotes")
		}
	}
	return s.template.Render(n.Value)
}

// scalarIn is the value of the one key in a text of YAML.
func scalarIn(source string) (*yaml.Node, error) {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(source), &document); err != nil {
		return nil, err
	}
	top := document.Content[0]
	if top.Kind != yaml.MappingNode || len(top.Content) != 2 || top.Content[1].Kind != yaml.ScalarNode {
		return nil, errors.New("not one value")
	}
	return top.Content[1], nil
}

// Quoted reports whether a scalar is text, whatever it looks like.
func Quoted(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
}

// IsNull reports whether a node is YAML's null, as an empty value is.
func IsNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// Shape names the kind of a node for messages.
func Shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "list"
	case yaml.MappingNode:
		return "mapping"
	}
	return "single value"
}

// Text is a text that is not read as YAML, such as the value of a variable.
func Text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: value}
}
