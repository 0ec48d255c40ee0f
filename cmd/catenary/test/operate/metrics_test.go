package operate

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// ours returns catenary's own metrics by name, as "type label label".
func ours(s stage.Scraped) (metrics map[string]string) {
	metrics = map[string]string{}
	for name, family := range s.Families {
		if !strings.HasPrefix(name, "catenary_") {
			continue
		}
		var labels []string
		for _, label := range family.Metric[0].Label {
			labels = append(labels, label.GetName())
		}
		slices.Sort(labels)
		metrics[name] = strings.ToLower(family.Type.String()) + " " + strings.Join(labels, " ")
	}
	return metrics
}

// reasons are the values of the label "reason".
func reasons(s stage.Scraped, name string) (values []string) {
	for _, metric := range s.Families[name].Metric {
		values = append(values, metric.Label[0].GetValue())
	}
	slices.Sort(values)
	return values
}

// Everything that is counted happens at least once, with secrets in every place where browsers put
// them.
func TestMetrics_MatchTheDocs(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, stage.JWTSettings("    cookie: jwt\n    required: false\n"))
	good, bad := stage.DeviseToken(t, ""), stage.DeviseToken(t, `"exp" => now - 1`)
	const identifier, secret = `{\"channel\":\"StreamChannel\",\"s\":\"seCret-stream\"}`, "seCret"
	b := e.Connect(0, "/cable?uid=7&password=seCret&token="+good, "Cookie: _session=seCret-cookie")
	e.Expect(b, stage.Welcome)
	b.Send(`{"command":"subscribe","identifier":"` + identifier + `"}`)
	e.Expect(b, `{"identifier":"`+identifier+`","type":"confirm_subscription"}`)
	if err := e.Redis.Do(`PUBLISH seCret-stream {"seCret":1} => 1`); err != nil {
		t.Fatal(err)
	}
	e.Expect(b, `{"identifier":"`+identifier+`","message":{"seCret":1}}`)
	for _, rejected := range []*stage.Browser{
		e.Connect(0, "/cable?token="+bad), e.Connect(0, "/cable", "Authorization: Bearer "+bad), e.Connect(0, "/cable", "Cookie: jwt="+bad),
	} {
		e.Expect(rejected, stage.Unauthorized, "(close 1000)")
	}
	b.Send(`{"command":"seCret","identifier":"seCret"}`)
	b.Send(`{"command":"subscribe","identifier":"` + identifier + `"}`)
	for _, claimed := range []string{"::RejectChannel", "RaiseChannel", "seCretChannel"} {
		b.Send(`{"command":"subscribe","identifier":"{\"channel\":\"` + claimed + `\"}"}`)
	}

	e.WaitForMetric(0, `catenary_commands_total{kind="subscribe"} 5`)
	e.WaitForMetric(0, `catenary_commands_repeated_total 1`)
	e.WaitForMetric(0, `catenary_commands_total{kind="unknown"} 1`)
	e.WaitForMetric(0, `catenary_connections 1`)
	e.WaitForMetric(0, `catenary_subscriptions 2`) // natively too, a channel that raises stays
	e.WaitForMetric(0, `catenary_users 1`)
	e.WaitForMetric(0, `catenary_channel_subscriptions{channel="StreamChannel"} 1`)
	e.WaitForMetric(0, `catenary_channel_rejections_total{channel="RejectChannel"} 1`)
	e.WaitForMetric(0, `catenary_channel_exceptions_total{channel="RaiseChannel"} 1`)
	e.WaitForMetric(0, `catenary_deliveries_total 1`)
	e.WaitForMetric(0, `catenary_handshakes_rejected_total{reason="token_expired"} 3`)
	e.WaitForMetric(0, `catenary_handshake_seconds_count{outcome="opened"} 1`)
	e.WaitForMetric(0, `catenary_call_seconds_count{do="open",outcome="answered"} 1`)
	e.WaitForMetric(0, `catenary_ready{part="rails"} 1`)
	e.WaitForMetric(0, `catenary_rails_processes 1`)
	e.WaitForMetric(0, `catenary_rails_workers 4`)
	e.WaitForMetric(0, `catenary_rails_workers_busy 0`)
	e.WaitForMetric(0, `catenary_rails_connections_max 1`)
	e.WaitForMetric(0, `catenary_rails_connections_min 1`)
	e.WaitForMetric(0, `catenary_calls_limit 16`)
	e.WaitForMetric(0, `catenary_calls_by_post 0`)
	e.Redis.Down()
	e.WaitForMetric(0, `catenary_broadcast_gaps_total 1`)
	s := e.WaitForMetric(0, `catenary_ready{part="broadcasts"} 0`)

	for _, part := range append(strings.Split(good, "."), append(strings.Split(bad, "."), secret, stage.TokenSecret, stage.SecretKeyBase)...) {
		if strings.Contains(s.Text, part) {
			t.Errorf("/metrics contains %q", part)
		}
	}
	served, documented := ours(s), documentedMetrics(t)
	for name, is := range served {
		if documented[name] != is {
			t.Errorf("%s is %q, and %q in docs/metrics.md", name, is, documented[name])
		}
	}
	for name := range documented {
		if served[name] == "" {
			t.Errorf("%s is in docs/metrics.md but not served", name)
		}
	}
	for name, heading := range map[string]string{
		"catenary_connections_ended_total": "## Why connections are closed", "catenary_handshakes_rejected_total": "## Why handshakes are rejected",
	} {
		if got, want := reasons(s, name), documentedReasons(t, heading); !slices.Equal(got, want) {
			t.Errorf("%s has reason\n%v\nand docs/metrics.md\n%v", name, got, want)
		}
	}
	for name := range dashboardMetrics(t) {
		if base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"); s.Families[name] == nil && s.Families[base] == nil {
			t.Errorf("docs/grafana.json uses %s, which is not served", name)
		}
	}
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(catenary_\\w+)` \\| (\\w+) \\| ([^|]*)\\|")
	codeWord   = regexp.MustCompile("`(\\w+)`")
	metricName = regexp.MustCompile(`\b(?:catenary|process|go)_[a-z_]+`)
)

func documentedMetrics(t *testing.T) map[string]string {
	metrics := map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(stage.ReadDoc(t, "metrics.md"), -1) {
		var labels []string
		for _, label := range codeWord.FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, label[1])
		}
		slices.Sort(labels)
		metrics[row[1]] = row[2] + " " + strings.Join(labels, " ")
	}
	return metrics
}

// documentedReasons are those in the first column of a part's table.
func documentedReasons(t *testing.T, heading string) (reasons []string) {
	_, part, _ := strings.Cut(stage.ReadDoc(t, "metrics.md"), heading+"\n")
	part, _, _ = strings.Cut(part, "\n#")
	for line := range strings.Lines(part) {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			for _, reason := range codeWord.FindAllStringSubmatch(cells[1], -1) {
				reasons = append(reasons, reason[1])
			}
		}
	}
	slices.Sort(reasons)
	return reasons
}

// dashboardMetrics returns the metrics that the dashboard's panels use.
func dashboardMetrics(t *testing.T) map[string]bool {
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(stage.ReadDoc(t, "grafana.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, panel := range dashboard.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			for _, name := range metricName.FindAllString(target.Expr, -1) {
				names[name] = true
			}
		}
	}
	if len(names) < 20 {
		t.Errorf("docs/grafana.json uses only %v", slices.Collect(maps.Keys(names)))
	}
	return names
}

// They show what is wrong at the start.
func TestMetrics_AreServedBeforeRailsAnswers(t *testing.T) {
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", "http://"+stage.FreeAddress())
	err := catenary.Process.WaitFor(func() error {
		text, err := stage.Get("http://" + catenary.Operations + "/metrics")
		if err != nil {
			return err
		}
		return stage.Mentions(text, []string{`catenary_ready{part="rails"} 0`, `catenary_ready{part="broadcasts"} 0`, `catenary_call_seconds_count{do="settings",outcome="unsent"}`})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOperations_NamesOnlyDocumentedMetrics(t *testing.T) {
	documented := documentedMetrics(t)
	for _, name := range regexp.MustCompile(`\bcatenary_[a-z_]+`).FindAllString(stage.ReadDoc(t, "operations.md"), -1) {
		if documented[name] == "" {
			t.Errorf("docs/operations.md names %s, which is not in docs/metrics.md", name)
		}
	}
}
