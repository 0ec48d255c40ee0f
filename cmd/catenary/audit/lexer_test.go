package audit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// written shows tokens as kind:text, for comparison.
func written(tokens []token) string {
	names := [...]string{"nl", "id", "const", "kw", "label", "var", "glob", "num", "str", "sym", "words", "re", "op"}
	var b strings.Builder
	for _, t := range tokens {
		if t.kind == newline {
			b.WriteString("nl ")
			continue
		}
		fmt.Fprintf(&b, "%s:%s ", names[t.kind], t.text)
	}
	return strings.TrimSuffix(strings.ReplaceAll(b.String(), " nl ", "; "), "; ")
}

func TestLexer_ReadsRubyAsRubyDoes(t *testing.T) {
	for _, c := range []struct{ ruby, want string }{
		{"stream_from \"a\" # do |x|", "id:stream_from str:a"},
		{"a / b", "id:a op:/ id:b"},
		{"split /,/", "id:split re:,"},
		{"x = /a#{b}c/i", "id:x op:= re:ac op:#{ id:b op:}"},
		{`"a #{b.c("}")} d"`, "str:a  d op:#{ id:b op:. id:c op:( str:} op:) op:}"},
		{`'it''s #{no}'`, "str:it str:s #{no}"},
		{"%w[a b]", "words:a b"},
		{"x % y", "id:x op:% id:y"},
		{"%(a (b) c)", "str:a (b) c"},
		{"x ? :a : :b", "id:x op:? sym:a op:: sym:b"},
		{"x == ?a", "id:x op:== str:a"},
		{"coder: JSON, \"b\": 1", "label:coder const:JSON op:, label:b num:1"},
		{"A::B.c(&:d)", "const:A op::: const:B op:. id:c op:( op:& sym:d op:)"},
		{"a.class.end", "id:a op:. id:class op:. id:end"},
		{"def end; end", "kw:def id:end; kw:end"},
		{"def self.x=(y) end", "kw:def id:self op:. id:x= op:( id:y op:) kw:end"},
		{"def [](i) end", "kw:def id:[] op:( id:i op:) kw:end"},
		{"def x = 1", "kw:def id:x op:= num:1"},
		{"a\n  # why\n  .b\n  &.c", "id:a op:. id:b op:&. id:c"},
		{"f a,\n  b", "id:f id:a op:, id:b"},
		{"=begin\ndo\n=end\na", "id:a"},
		{"a\n__END__\ndo do do", "id:a"},
		{"$! $-w @@a @b", "glob:$! glob:$-w glob:@@a var:@b"},
		{"1.2.x 1..2 1e-3", "num:1.2 op:. id:x num:1 op:.. num:2 num:1e-3"},
		{"a << b", "id:a op:<< id:b"},
		{"class << self\nend", "kw:class op:<< kw:self; kw:end"},
		{"f(<<~A, <<-'B')\n x #{y}\n A\n #{z}\n B\ng", "id:f op:( str: x \n op:#{ id:y op:} op:, str: #{z}\n op:); id:g"},
		{"a <<~SQL.squish\n do\nSQL\nb", "id:a str: do\n op:. id:squish; id:b"},
		{"reject? && x!", "id:reject? op:&& id:x!"},
		{"a != b", "id:a op:!= id:b"},
		{":[]= ; :\"a b\"", "sym:[]=; sym:a b"},
		{"`ls #{x}`", "str:ls  op:#{ id:x op:}"},
	} {
		if got := written(lex(c.ruby)); got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.ruby, got, c.want)
		}
	}
}

func TestLexer_IsNotSlowedByWhatLooksLikeTheBeginningOfMuch(t *testing.T) {
	for _, part := range []string{"<<A", "x\n#\n", "\"#{", "#\n", "%w", "f <<~A\n", "/", ":", "=begin\n", "?a", "{", "def ", "def a(", "def a = ", "stream_from ", "a.b\n  # c\n"} {
		begin := time.Now()
		outline("a.rb", strings.Repeat(part, 100_000/len(part)))
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("%q took %v", part, took)
		}
	}
}

// FuzzLexer also looks that tokens come in order of their lines and that the
// outline, which reads them, stands.
func FuzzLexer(f *testing.F) {
	for _, seed := range []string{
		"class A < B\n  def x\n    stream_from \"a#{b}\" do |m|\n    end\n  end\nend", "f(<<~A, <<-'B')\n x #{y}\n A\n B\n", "%w[a", "\"#{\"#{\"#{",
		"def []=(a) end", "x ? y : z", "?\\", ":\"", "$", "@", "%", "<<~", "=begin", "a\n.b", "\xff\xfe", "while x do y end", "f <<A + \"#{<<B}\"\nA\nB\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, code string) {
		s := outline("a.rb", code)
		for i, closing := range s.match {
			if closing != 0 && closing <= i && closing != len(s.tokens)-1 {
				t.Fatalf("token %d closes before it opens", i)
			}
		}
		for _, c := range s.scopes {
			if c.first > c.last+1 || c.last > len(s.tokens) {
				t.Fatalf("scope %s from %d to %d of %d", c.keyword, c.first, c.last, len(s.tokens))
			}
		}
	})
}
