// Package stats counts what happens in the other packages: how long things
// took, and what was refused and why.
//
// In comes one call for each event, out go plain numbers when somebody asks
// for them. Neither type runs anything by itself.
//
// What the numbers mean, and under which names operators see them, is left to
// the packages that count and to docs/metrics.md.
package stats
