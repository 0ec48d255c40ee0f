package audit

import "strings"

// What a value is, where it needs more words than its class.
const (
	relation  = "a relation"
	aProc     = "a Proc"
	hashBlock = "Hash.new with a block"
)

// unkeepable says what a value is if it cannot travel; "" if it can, or if
// that cannot be seen.
func (s *source) unkeepable(value span) string {
	for _, e := range s.alternatives(value) {
		for s.at(e.first).kind == variable && s.at(e.first+1).is(operator, "=") {
			e.first += 2
		}
		for s.at(e.first).is(operator, "(") && s.match[e.first] == e.last-1 {
			e = span{e.first + 1, e.last - 1}
		}
		if what := s.unkeepableTerm(e); what != "" {
			return what
		}
	}
	return ""
}

// unmarshallable are the classes whose objects hold something of the process.
var unmarshallable = map[string]bool{
	"Mutex": true, "Thread::Mutex": true, "Monitor": true, "Thread": true, "Queue": true, "Thread::Queue": true, "SizedQueue": true,
	"Thread::SizedQueue": true, "ConditionVariable": true, "Thread::ConditionVariable": true, "Fiber": true, "Enumerator": true,
	"Ractor": true, "IO": true, "File": true, "StringIO": true, "Tempfile": true, "Dir": true, "Socket": true, "TCPSocket": true,
	"UNIXSocket": true, "UDPSocket": true, "Logger": true, "ActiveSupport::Logger": true, "Redis": true, "RedisClient": true,
	"ObjectSpace::WeakMap": true, "Y::Doc": true, "PTY": true,
}

// constructors are the methods of these classes that return one of their
// objects; File.read, for one, does not.
var constructors = map[string]bool{"new": true, "open": true, "start": true, "fork": true, "create": true, "popen": true, "pipe": true, "for_fd": true, "spawn": true}

// travelling are those of Concurrent that Marshal copies.
var travelling = map[string]bool{"Concurrent::Map": true, "Concurrent::Array": true, "Concurrent::Hash": true, "Concurrent::Set": true}

func (s *source) unkeepableTerm(e span) string {
	switch first := s.at(e.first); {
	case first.is(operator, "->"), first.is(identifier, "proc"), first.is(identifier, "lambda"):
		if s.calls(e, "call") == 0 {
			return aProc
		}
	case first.is(identifier, "method") && s.at(e.first+1).is(operator, "("):
		if s.match[e.first+1] == e.last-1 {
			return "a Method"
		}
	}
	name, next := s.constantAt(e.first)
	method := s.at(next + 1).text
	if name != "" && s.at(next).is(operator, ".") && s.ends(next+1, e) {
		c := s.call(next + 1)
		switch {
		case name == "Proc" && method == "new":
			return aProc
		case name == "Hash" && method == "new" && c.block:
			return hashBlock
		case unmarshallable[name] && constructors[method], strings.HasPrefix(name, "Concurrent::") && (!travelling[name] || c.block):
			return "a " + name
		}
	}
	if s.relation(e) {
		return relation
	}
	return ""
}

// ends says whether the call of the method at i, with its arguments and block,
// is the whole rest of an expression.
func (s *source) ends(i int, e span) bool {
	next := i + 1
	if s.at(next).is(operator, "(") && !s.at(next).spaced {
		next = s.match[next] + 1
	}
	if t := s.at(next); next < e.last && (t.is(operator, "{") || t.is(keyword, "do")) {
		next = s.match[next] + 1
	}
	return next >= e.last || s.at(next).kind != operator
}

// calls counts calls of a method in the chain of an expression.
func (s *source) calls(e span, method string) int {
	n := 0
	for i := e.first; i < e.last; i++ {
		if s.tokens[i].text == method && s.receiver(i) != "self" {
			n++
		}
		i = max(i, s.match[i])
	}
	return n
}

// Methods that return a relation: surely, or if the chain had a sure one
// before. A loaded relation is one still.
var (
	relations = map[string]bool{
		"where": true, "rewhere": true, "order": true, "reorder": true, "includes": true, "preload": true, "eager_load": true,
		"joins": true, "left_joins": true, "left_outer_joins": true, "limit": true, "offset": true, "in_order_of": true,
	}
	relationsStill = map[string]bool{
		"load": true, "load_async": true, "distinct": true, "lock": true, "readonly": true, "references": true, "group": true, "having": true,
		"not": true, "merge": true, "unscope": true, "or": true, "and": true, "none": true, "all": true, "missing": true, "associated": true,
	}
)

// relation says whether the last call in the chain returns one.
func (s *source) relation(e span) bool {
	is := false
	for i := e.first; i < e.last; i++ {
		t := s.tokens[i]
		switch {
		case s.match[i] > i:
			if t.is(operator, "[") && !t.spaced || t.is(operator, "{") || t.is(keyword, "do") {
				is = false
			}
			i = s.match[i]
		case t.kind == identifier && s.receiver(i) != "self":
			first := s.at(i-2).kind == constant
			is = relations[t.text] || (t.text == "all" || t.text == "none") && first || is && relationsStill[t.text]
		case t.kind == operator && t.text != "." && t.text != "&." && t.text != "::":
			return false
		}
	}
	return is
}
