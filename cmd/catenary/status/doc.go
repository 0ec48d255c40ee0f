// Package status is the page on the operations listener that shows an operator
// at a glance how catenary is doing.
//
// A Recorder looks at the Totals once a second, and keeps ten minutes of
// Points. While somebody watches it also makes the rest of the Status, once for
// all who do, and sends it to them as Server-Sent Events; the page draws it, and
// so does `catenary top`.
//
// Where the totals come from is left to the program.
package status
