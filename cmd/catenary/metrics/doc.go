// Package metrics serves the numbers of a running catenary: as metrics for Prometheus, and as totals
// for the status page. Counting is left to the parts.
package metrics
