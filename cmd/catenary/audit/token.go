package audit

// A kind of token. What the rules do not need to tell apart is one kind.
type kind uint8

const (
	newline    kind = iota // the end of a statement: a line's end that continues nothing, or ;
	identifier             // a local variable or a method: subscribed, reject?, save!
	constant               // Channel
	keyword                // class, def, end …; not where it is a method's name
	label                  // coder: in an argument list; the text is without the colon
	variable               // @room, with its @
	global                 // $stdout, @@count
	number                 // 1_000, 0.3, 2r
	text                   // a string, a heredoc or %q; the text is without quotes and interpolations
	symbol                 // :tick, without the colon
	words                  // %w and %i
	pattern                // /…/
	operator               // + == -> { ( "#{" and the like
)

// A token is a word of Ruby. The code of an interpolation stands after its
// string, between an operator "#{" and a "}".
type token struct {
	kind   kind
	text   string
	line   int
	spaced bool // blank before it
	open   bool // a value may begin after it: so / is a pattern and { a hash
}

func (t token) is(k kind, text string) bool { return t.kind == k && t.text == text }

var keywords = map[string]bool{
	"alias": true, "and": true, "begin": true, "break": true, "case": true, "class": true, "def": true, "defined?": true,
	"do": true, "else": true, "elsif": true, "end": true, "ensure": true, "false": true, "for": true, "if": true, "in": true,
	"module": true, "next": true, "nil": true, "not": true, "or": true, "redo": true, "rescue": true, "retry": true,
	"return": true, "self": true, "super": true, "then": true, "true": true, "undef": true, "unless": true, "until": true,
	"when": true, "while": true, "yield": true, "BEGIN": true, "END": true,
}

// values are the keywords after which an operator stands, not a value. After
// return, break, next and yield there may be a value, but if and unless behind
// them are modifiers.
var values = map[string]bool{
	"end": true, "self": true, "true": true, "false": true, "nil": true, "super": true, "redo": true, "retry": true,
}
