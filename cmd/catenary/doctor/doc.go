// Package doctor does what a browser does, one step after the other, and names
// the cause if a step fails. What only the configuration tells, whether Rails
// and Redis can be reached above all, is examined by the command itself.
package doctor
