// Package rails is what catenary knows about the app: whether it answers and which settings it
// reports (State), and what these settings mean for the parts that catenary has configured. Calls
// are left to package rpc.
package rails
