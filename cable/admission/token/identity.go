package token

import (
	"encoding/json"
	"net/url"
	"regexp"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Template describes the value of an identifier of Rails' identified_by: a text or a Global ID
// (gid://app/User/7), with claims in braces.
type Template struct {
	Identifier string
	Value      string
}

// ParseTemplate parses "current_user=gid://app/User/{sub}".
func ParseTemplate(text string) Template {
	identifier, value, _ := strings.Cut(text, "=")
	return Template{identifier, value}
}

// App returns the app that a Global ID names, and false if the template is not a Global ID.
func (t Template) App() (app string, record bool) {
	rest, record := strings.CutPrefix(t.Value, "gid://")
	app, _, _ = strings.Cut(rest, "/")
	return app, record
}

// Identity is the value of an identifier for one connection.
type Identity struct {
	Identifier string
	Value      string
	Record     bool // Value is a Global ID
}

var placeholder = regexp.MustCompile(`\{[^{}]+\}`)

// identify fills in the templates. It fails if a claim is missing: a partial value could be another
// user's.
func identify(templates []Template, all jwt.MapClaims) (identities []Identity, err error) {
	for _, template := range templates {
		record := strings.HasPrefix(template.Value, "gid://")
		value := placeholder.ReplaceAllStringFunc(template.Value, func(name string) string {
			claim, ok := claimText(all[name[1:len(name)-1]])
			switch {
			case !ok:
				err = ClaimMissing
			case record: // as GlobalID escapes ids
				claim = url.QueryEscape(claim)
			}
			return claim
		})
		identities = append(identities, Identity{template.Identifier, value, record})
	}
	return identities, err
}

// claimText returns a claim that is a text or a number, as text.
func claimText(claim any) (string, bool) {
	switch claim := claim.(type) {
	case string:
		return claim, claim != ""
	case json.Number:
		return claim.String(), true
	}
	return "", false
}
