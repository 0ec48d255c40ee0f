package status

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// globalID is how the Base64 of every Global ID begins.
const globalID = "Z2lkOi8v" // gid://

// StreamName decodes the records in a stream's name, of which Rails writes the Global ID in Base64:
// room:Z2lkOi8v… becomes room:gid://app/Room/1.
func StreamName(name string) string {
	if !strings.Contains(name, globalID) {
		return name
	}
	parts := strings.Split(name, ":")
	for i, part := range parts {
		at := strings.Index(part, globalID)
		if at < 0 {
			continue
		}
		text, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part[at:], "="))
		if err == nil && utf8.Valid(text) {
			parts[i] = part[:at] + string(text)
		}
	}
	return strings.Join(parts, ":")
}

// How much of a name and of a sentence is shown, in characters.
const (
	nameLength = 120
	textLength = 500
)

// Printable makes a name from an app or a browser safe for a page and a terminal: it cuts it, and
// replaces control characters, which could move the cursor, and marks that change the direction of
// text.
func Printable(text string) string { return printable(text, nameLength) }

// PrintableText is Printable for sentences, which may be longer than names.
func PrintableText(text string) string { return printable(text, textLength) }

func printable(text string, limit int) string {
	var shown strings.Builder
	n := 0
	for _, r := range text {
		n++
		if n > limit {
			shown.WriteRune('…')
			break
		}
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		shown.WriteRune(r)
	}
	return shown.String()
}
