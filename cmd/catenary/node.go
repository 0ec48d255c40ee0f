package main

import (
	"crypto/rand"
	"encoding/hex"
)

// node names this process among others. It is made anew at every start:
// connections do not outlive the process either.
var node = func() func() string {
	var random [4]byte
	rand.Read(random[:])
	name := "n-" + hex.EncodeToString(random[:])
	return func() string { return name }
}()
