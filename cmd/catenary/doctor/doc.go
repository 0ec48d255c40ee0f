// Package doctor connects as a browser does, step by step, and names the cause if a step fails. The
// command itself checks what needs the configuration, such as whether Rails and Redis can be
// reached.
package doctor
