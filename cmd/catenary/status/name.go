package status

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"
)

// globalID is what the Base64 of every Global ID begins with.
const globalID = "Z2lkOi8v" // gid://

// StreamName makes a stream's name readable, in which Rails has put records as
// the Base64 of their Global IDs: room:Z2lkOi8v… is room:gid://app/Room/1.
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

// nameLength is how much of a stream's name is shown, in characters.
const nameLength = 120

// textLength is how much of a sentence is.
const textLength = 500

// Printable makes a text of an app's or a browser's fit for a page and for a
// terminal: without control characters, which could move the cursor, and
// without marks that turn the direction of what follows.
func Printable(text string) string { return printable(text, nameLength) }

// PrintableText does so with a text that may be longer than a name.
func PrintableText(text string) string { return printable(text, textLength) }

func printable(text string, most int) string {
	var shown strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > most {
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
