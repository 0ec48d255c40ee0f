package token

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
)

// ConnectionIdentifier returns Rails' connection_identifier for these identities
// (actioncable/lib/action_cable/connection/identification.rb).
func ConnectionIdentifier(identities []Identity) string {
	var parts []string
	for _, identity := range identities {
		if identity.Record {
			parts = append(parts, base64.RawURLEncoding.EncodeToString([]byte(identity.Value)))
		} else {
			parts = append(parts, identity.Value)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ":")
}

// EncodeIdentities encodes identities for the calls to Rails.
func EncodeIdentities(identities []Identity) json.RawMessage {
	values := map[string]any{}
	for _, identity := range identities {
		values[identity.Identifier] = identity.Value
		if identity.Record {
			values[identity.Identifier] = map[string]string{"gid": identity.Value}
		}
	}
	text, _ := json.Marshal(values) // cannot fail for strings
	return text
}
