package status

import (
	"strings"
	"unicode"
)

// nameLength is how much of a stream's name is shown, in characters.
const nameLength = 120

// Printable makes a text of an app's or a browser's fit for a page and for a
// terminal: without control characters, which could move the cursor, and
// without marks that turn the direction of what follows.
func Printable(text string) string {
	var shown strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > nameLength {
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
