package token

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Template is what an identifier of Rails' identified_by is made of: a text, or
// a Global ID (gid://app/User/7), with claims in braces.
type Template struct {
	Identifier string
	Value      string
}

// ParseTemplate reads "current_user=gid://app/User/{sub}".
func ParseTemplate(text string) Template {
	identifier, value, _ := strings.Cut(text, "=")
	return Template{identifier, value}
}

// App returns the app whose record the template names, and false if it is a text.
func (t Template) App() (app string, record bool) {
	rest, record := strings.CutPrefix(t.Value, "gid://")
	app, _, _ = strings.Cut(rest, "/")
	return app, record
}

// Identity is an identifier and its value for one connection.
type Identity struct {
	Identifier string
	Value      string
	Record     bool // Value is the Global ID of one
}

var placeholder = regexp.MustCompile(`\{[^{}]+\}`)

// identify makes the identities. Every claim must be there: nobody is identified
// by half of what identifies them.
func identify(templates []Template, all jwt.MapClaims) (identities []Identity, err error) {
	for _, template := range templates {
		record := strings.HasPrefix(template.Value, "gid://")
		value := placeholder.ReplaceAllStringFunc(template.Value, func(name string) string {
			claim, ok := word(all[name[1:len(name)-1]])
			switch {
			case !ok:
				err = ClaimMissing
			case record: // as GlobalID writes an id, so that it stays one
				claim = url.QueryEscape(claim)
			}
			return claim
		})
		identities = append(identities, Identity{template.Identifier, value, record})
	}
	return identities, err
}

// word is the text of a claim that is a text or a number.
func word(claim any) (string, bool) {
	switch claim := claim.(type) {
	case string:
		return claim, claim != ""
	case json.Number:
		return claim.String(), true
	}
	return "", false
}
