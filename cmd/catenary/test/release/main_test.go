package release

import (
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }
