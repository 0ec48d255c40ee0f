package main

import "testing"

// Servers that tests start side by side take long to listen: until then their addresses look free.
func TestFreeAddress_GivesNoneTwice(t *testing.T) {
	given := map[string]bool{}
	for range 2000 {
		address := freeAddress()
		if given[address] {
			t.Fatalf("%s was given twice", address)
		}
		given[address] = true
	}
}
