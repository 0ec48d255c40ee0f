package token

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Places are where a handshake may carry its token. The first that has one
// counts, in the order of the fields.
type Places struct {
	Query         string // name of a query parameter; "": not there
	Authorization bool   // Authorization: Bearer
	Subprotocol   string // RawSubprotocol, or the text before the token; "": not there
	Cookie        string // name of a cookie; "": not there
}

// RawSubprotocol stands for a token that is itself an entry of
// Sec-WebSocket-Protocol, as npm's actioncable-jwt sends it.
const RawSubprotocol = "raw"

// Find returns the handshake's token. Where Ruby, in any version of Rack, may find
// another one, there is none that counts.
func (p Places) Find(r *http.Request) (string, error) {
	for _, look := range []func(*http.Request) []string{p.query, p.authorization, p.subprotocol, p.cookie} {
		switch found := look(r); {
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
	if !slices.Equal(tokens, p.parameters(r.URL.RawQuery, "&;")) { // Rack 2 parts at semicolons, too
		return unclear
	}
	return tokens
}

// unclear is more than one.
var unclear = make([]string, 2)

// parameters returns the values of the parameter in a query.
func (p Places) parameters(query, separators string) (tokens []string) {
	for pair := range strings.FieldsFuncSeq(query, func(c rune) bool { return strings.ContainsRune(separators, c) }) {
		name, value, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		value, invalid := url.QueryUnescape(value)
		switch {
		case err != nil: // Ruby refuses the whole query
		case name == p.Query && invalid == nil:
			tokens = append(tokens, value)
		case nested(strings.TrimSpace(name)) == p.Query: // Ruby makes a list of it, or something else than we think
			return unclear
		}
	}
	return tokens
}

// nested is the parameter that a name such as token[] is a part of.
func nested(name string) string {
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
				return unclear
			default:
				tokens = append(tokens, decoded)
			}
		}
	}
	return tokens
}
