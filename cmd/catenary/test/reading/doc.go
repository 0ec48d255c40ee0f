// Package reading compares how Go and Ruby parse the same bytes from a browser.
package reading
