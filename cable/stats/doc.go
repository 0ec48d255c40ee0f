// Package stats counts events for the other packages: how long things took, and what was
// rejected for which reason.
//
// Each event is one call, and the counts are returned on request. Nothing runs by itself.
// docs/metrics.md describes what the numbers mean and under which names operators see them.
package stats
