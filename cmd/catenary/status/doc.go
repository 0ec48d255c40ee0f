// Package status is the status page on the operations listener.
//
// A Recorder reads the Totals once a second, and keeps ten minutes of Points. While pages are open,
// it also builds a Status each second, once for all of them, and sends it as Server-Sent Events.
// The page draws it, and so does `catenary top`.
//
// Where the totals come from is left to the program.
package status
