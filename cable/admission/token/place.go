package token

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Places are where a handshake may carry its token, in the order in which they are searched.
type Places struct {
	Query         string // name of a query parameter; "": none
	Authorization bool   // Authorization: Bearer
	Subprotocol   string // RawSubprotocol, or the text before the token; "": none
	Cookie        string // name of a cookie; "": none
}

// RawSubprotocol means that an entry of Sec-WebSocket-Protocol is the token and nothing else, as
// npm's actioncable-jwt sends it.
const RawSubprotocol = "raw"

// ambiguous is the result of a search where Ruby may find another token: two tokens, which Find
// rejects as Repeated.
var ambiguous = make([]string, 2)

// Find returns the handshake's token. It fails with Repeated if Ruby, with any version of Rack, may
// find another one.
func (p Places) Find(r *http.Request) (string, error) {
	for _, search := range []func(*http.Request) []string{p.query, p.authorization, p.subprotocol, p.cookie} {
		switch found := search(r); {
		case len(found) > 1:
			return "", Repeated
		case len(found) == 1 && found[0] != "":
			return found[0], nil
		}
	}
	return "", Missing
}

func (p Places) query(r *http.Request) []string {
	if p.Query == "" || r.URL.RawQuery == "" {
		return nil
	}
	tokens := p.parameters(r.URL.RawQuery, "&")
	if !slices.Equal(tokens, p.parameters(r.URL.RawQuery, "&;")) { // Rack 2 also splits at semicolons
		return ambiguous
	}
	return tokens
}

// parameters returns the values of the query parameter that carries the token.
func (p Places) parameters(query, separators string) (tokens []string) {
	isSeparator := func(c rune) bool { return strings.ContainsRune(separators, c) }
	for pair := range strings.FieldsFuncSeq(query, isSeparator) {
		name, value, _ := strings.Cut(pair, "=")
		name, nameErr := url.QueryUnescape(name)
		value, valueErr := url.QueryUnescape(value)
		switch {
		case nameErr != nil: // Ruby rejects the whole query
		case name == p.Query && valueErr == nil:
			tokens = append(tokens, value)
		case baseName(strings.TrimSpace(name)) == p.Query: // Ruby makes a list or a hash of it
			return ambiguous
		}
	}
	return tokens
}

// baseName returns token for a name such as token[] or token[a].
func baseName(name string) string {
	name = strings.TrimLeft(name, "[]")
	if end := strings.IndexAny(name, "[]"); end >= 0 {
		name = name[:end]
	}
	return name
}

func (p Places) authorization(r *http.Request) (tokens []string) {
	if !p.Authorization {
		return nil
	}
	for _, header := range r.Header.Values("Authorization") {
		if scheme, credentials, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "Bearer") {
			tokens = append(tokens, strings.TrimSpace(credentials))
		}
	}
	return tokens
}

func (p Places) subprotocol(r *http.Request) (tokens []string) {
	if p.Subprotocol == "" {
		return nil
	}
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(header, ",") {
			offer = strings.TrimSpace(offer)
			if p.Subprotocol == RawSubprotocol {
				if strings.Count(offer, ".") == 2 && strings.HasPrefix(offer, "eyJ") { // {" in base64
					tokens = append(tokens, offer)
				}
			} else if token, ok := strings.CutPrefix(offer, p.Subprotocol); ok {
				tokens = append(tokens, token)
			}
		}
	}
	return tokens
}

func (p Places) cookie(r *http.Request) (tokens []string) {
	if p.Cookie == "" {
		return nil
	}
	for _, header := range r.Header.Values("Cookie") {
		for i, pair := range strings.Split(header, ";") {
			if i > 0 {
				pair = strings.TrimLeft(pair, " ")
			}
			name, value, _ := strings.Cut(pair, "=")
			decoded, err := url.QueryUnescape(value)
			switch {
			case strings.TrimSpace(name) != p.Cookie:
			case name != p.Cookie || err != nil:
				return ambiguous
			default:
				tokens = append(tokens, decoded)
			}
		}
	}
	return tokens
}
