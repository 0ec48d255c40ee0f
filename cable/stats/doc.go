// Package stats counts events for the other packages: how long things took, and what was
// rejected for which reason.
//
// In comes one call per event, out go plain numbers on request. Nothing runs by itself.
//
// docs/metrics.md says what the numbers mean and under which names operators see them.
package stats
