package stage

import (
	"os"
	"strings"
)

// Variables that begin with CATENARY_ configure catenary, which rejects unknown ones. Those in the
// environment of `go test` are not meant for the catenary under test, so no program that the tests
// start inherits them. Settings of the tests themselves (CATENARY_TEST_PATIENCE) are package
// variables, which Go initializes before init runs.
func init() { unsetConfiguration() }

func unsetConfiguration() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CATENARY_") {
			os.Unsetenv(name)
		}
	}
}
