package stage

import (
	"os"
	"strings"
)

// The variables that begin with CATENARY_ are catenary's configuration, and it refuses those that it does not know. The ones
// of whoever runs the tests are not meant for the catenary under test, so no program that the tests start inherits them.
// Settings of the tests themselves (CATENARY_TEST_PATIENCE) are variables of this package, which Go reads before.
func init() { forgetConfiguration() }

func forgetConfiguration() {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "CATENARY_") {
			os.Unsetenv(name)
		}
	}
}
