// Package memory keeps the process within the memory that it may use, and returns what it does not
// need to the system. Which browsers lose their connection when memory is short is left to the
// server.
package memory
