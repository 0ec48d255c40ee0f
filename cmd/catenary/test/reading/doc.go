// Package reading compares what Go reads of a browser's bytes with what Ruby reads
// of the same.
package reading
