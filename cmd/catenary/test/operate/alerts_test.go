package operate

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var (
	alertName  = regexp.MustCompile(`(?m)^ +- alert: (\w+)$`)
	alertCase  = regexp.MustCompile(`alertname="(\w+)"`)
	reasonUsed = regexp.MustCompile(`(catenary_\w+)\{reason!?="(\w+)"\}`)
)

// The cases are in testdata/alerts_test.yml.
func TestAlerts_FireWhenTheyShould(t *testing.T) {
	t.Parallel()
	for _, arguments := range [][]string{
		{"check", "rules", stage.ProjectRoot + "/docs/alerts.yml"},
		{"test", "rules", "testdata/alerts_test.yml"},
	} {
		output, err := exec.Command("promtool", arguments...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s (script/install deploy installs it): %v\n%s", strings.Join(arguments, " "), err, output)
		}
	}
	tested := map[string]bool{}
	for _, name := range alertCase.FindAllStringSubmatch(stage.ReadDoc(t, "../cmd/catenary/test/operate/testdata/alerts_test.yml"), -1) {
		tested[name[1]] = true
	}
	alerts := alertName.FindAllStringSubmatch(stage.ReadDoc(t, "alerts.yml"), -1)
	if len(alerts) < 15 {
		t.Errorf("docs/alerts.yml has only %v", alerts)
	}
	for _, alert := range alerts {
		if !tested[alert[1]] {
			t.Errorf("%s has no case", alert[1])
		}
	}
}

// TestMetrics_MatchTheDocs checks that catenary serves the documented metrics.
func TestAlerts_UseOnlyDocumentedMetrics(t *testing.T) {
	t.Parallel()
	documented, rules := documentedMetrics(t), stage.ReadDoc(t, "alerts.yml")
	for _, name := range metricName.FindAllString(rules, -1) {
		base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
		if strings.HasPrefix(name, "catenary_") && documented[name] == "" && documented[base] == "" {
			t.Errorf("docs/alerts.yml uses %s, which is not in docs/metrics.md", name)
		}
	}
	headings := map[string]string{
		"catenary_connections_ended_total":   "## Why connections are closed",
		"catenary_handshakes_rejected_total": "## Why handshakes are rejected",
	}
	for _, used := range reasonUsed.FindAllStringSubmatch(rules, -1) {
		if !slices.Contains(documentedReasons(t, headings[used[1]]), used[2]) {
			t.Errorf("docs/alerts.yml uses %s, but docs/metrics.md has no such reason", used[0])
		}
	}
}
