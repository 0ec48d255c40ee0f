package rails

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/rpc"
)

// A Global ID of another app would never match the one with which Rails disconnects.
func TestIdentify_AcceptsOnlyRecordsOfTheApp(t *testing.T) {
	app := &rpc.Settings{Identifiers: []string{"user", "tenant"}, Identify: []string{"user", "tenant"}, GlobalIDApp: "my-app"}
	for item, want := range map[string]string{
		"user=gid://my-app/User/{sub}":   "",
		"tenant={tenant_id}":             "",
		"user=gid://app/User/{sub}":      `names records of the app "app", but this app is "my-app": write gid://my-app/`,
		"user=gid://my-app2/User/{sub}":  `names records of the app "my-app2"`,
		"user=gid://{app}/User/{sub}":    `names records of the app "{app}"`,
		"account=gid://my-app/Account/1": "not by account",
	} {
		err := mayIdentify(Templates([]string{item}), app)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", item, err)
		}
	}
	app.GlobalIDApp = "" // an older gem
	if err := mayIdentify(Templates([]string{"user=gid://app/User/{sub}"}), app); err != nil {
		t.Error(err)
	}
}
