// Package top is `catenary top`: the status page in a terminal, from the same events.
package top
