package yml

import (
	"fmt"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/erb"
)

func TestRead_EndsWithAliasesOfAliases(t *testing.T) {
	for _, leaf := range []string{"{url: x}", "[x]"} {
		source := "a0: &a0 " + leaf + "\n"
		for i := 1; i < 12; i++ {
			one := fmt.Sprintf("*a%d", i-1)
			list := "[" + strings.Repeat(one+", ", 20) + one + "]"
			if leaf[0] == '{' {
				list = "{<<: " + list + "}"
			}
			source += fmt.Sprintf("a%d: &a%d %s\n", i, i, list)
		}
		s, err := Read("f", source+"production: {list: *a11}\n", "production", erb.Evaluator{})
		if err == nil {
			_, err = s.Value(s.Entries[0])
		}
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%s: %v", leaf, err)
		}
	}
}
