// Package top is `catenary top`: the status page in a terminal, drawn from the
// same events.
package top
