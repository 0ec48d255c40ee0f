package token

import (
	"net/http"
	"net/url"
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

// find returns the handshake's token.
func (p Places) find(r *http.Request) (string, error) {
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
	values, _ := url.ParseQuery(r.URL.RawQuery) // what cannot be read is as good as absent
	return values[p.Query]
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
	for _, cookie := range r.CookiesNamed(p.Cookie) {
		tokens = append(tokens, cookie.Value)
	}
	return tokens
}
