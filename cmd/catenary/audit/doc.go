// Package audit reads the Ruby of a Rails application's channels, without
// running it, and says of each what will run where behind catenary: what is
// plain, what is ticked, what pins a connection to its process, what is lost
// when an object is rebuilt, and what cannot work.
//
// It is three steps. A lexer turns a file into tokens; an outline finds in
// them classes, modules, methods and blocks. The application resolves classes
// by file name, as Rails' autoloader does, so that inheritance and concerns
// are followed. Then each rule, a function beside its test, looks at the code
// of a class and gives its findings.
//
// Ruby cannot be understood completely without running it. A rule speaks of
// what is written, not of what metaprogramming may make of it.
package audit
