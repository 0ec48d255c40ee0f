package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped is what /metrics has said.
type scraped struct {
	text     string
	families map[string]*dto.MetricFamily
}

func (e *edge) scrape() scraped {
	e.Helper()
	text, err := get("http://" + e.nodes[0].operations + "/metrics")
	if err != nil {
		e.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		e.Fatalf("%v\n%s", err, text)
	}
	return scraped{text, families}
}

// awaits waits for a line of /metrics.
func (e *edge) awaits(line string) (s scraped) {
	e.Helper()
	err := e.nodes[0].process.waitFor(patience, func() error {
		if s = e.scrape(); !slices.Contains(strings.Split(s.text, "\n"), line) {
			return fmt.Errorf("it does not say %q", line)
		}
		return nil
	})
	if err != nil {
		e.Fatalf("%v\n%s", err, s.text)
	}
	return s
}

// ours are catenary's own metrics: "name type label, label".
func (s scraped) ours() (metrics map[string]string) {
	metrics = map[string]string{}
	for name, family := range s.families {
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

// whys are the values of the label "why".
func (s scraped) whys(name string) (values []string) {
	for _, metric := range s.families[name].Metric {
		values = append(values, metric.Label[0].GetValue())
	}
	slices.Sort(values)
	return values
}

// TestMetrics_AreThoseThatAreDocumented makes something of everything happen, with secrets in every place where browsers put them.
func TestMetrics_AreThoseThatAreDocumented(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, jwtSettings("    cookie: jwt\n    required: false\n"))
	good, bad := deviseToken(t, ""), deviseToken(t, `"exp" => now - 1`)
	const identifier, secret = `{\"channel\":\"StreamChannel\",\"s\":\"seCret-stream\"}`, "seCret"
	b := e.connect(0, "/cable?uid=7&password=seCret&token="+good, "Cookie: _session=seCret-cookie")
	e.hears(b, welcome)
	b.send(`{"command":"subscribe","identifier":"` + identifier + `"}`)
	e.hears(b, `{"identifier":"`+identifier+`","type":"confirm_subscription"}`)
	if err := e.redis.do(`PUBLISH seCret-stream {"seCret":1} => 1`); err != nil {
		t.Fatal(err)
	}
	e.hears(b, `{"identifier":"`+identifier+`","message":{"seCret":1}}`)
	for _, away := range []*browser{
		e.connect(0, "/cable?token="+bad), e.connect(0, "/cable", "Authorization: Bearer "+bad), e.connect(0, "/cable", "Cookie: jwt="+bad),
	} {
		e.hears(away, unauthorized, "(close 1000)")
	}
	b.send(`{"command":"seCret","identifier":"seCret"}`)
	b.send(`{"command":"subscribe","identifier":"` + identifier + `"}`)

	e.awaits(`catenary_commands_total{kind="subscribe"} 2`)
	e.awaits(`catenary_commands_repeated_total 1`)
	e.awaits(`catenary_commands_total{kind="unknown"} 1`)
	e.awaits(`catenary_connections 1`)
	e.awaits(`catenary_subscriptions 1`)
	e.awaits(`catenary_deliveries_total 1`)
	e.awaits(`catenary_handshakes_turned_away_total{why="token_expired"} 3`)
	e.awaits(`catenary_handshake_seconds_count{outcome="opened"} 1`)
	e.awaits(`catenary_call_seconds_count{do="open",outcome="answered"} 1`)
	e.awaits(`catenary_ready{part="rails"} 1`)
	e.redis.down()
	e.awaits(`catenary_broadcast_gaps_total 1`)
	s := e.awaits(`catenary_ready{part="broadcasts"} 0`)

	for _, part := range append(strings.Split(good, "."), append(strings.Split(bad, "."), secret, tokenSecret, secretKeyBase)...) {
		if strings.Contains(s.text, part) {
			t.Errorf("/metrics tells %q", part)
		}
	}
	served, documented := s.ours(), documentedMetrics(t)
	for name, is := range served {
		if documented[name] != is {
			t.Errorf("%s is %q, and %q in docs/metrics.md", name, is, documented[name])
		}
	}
	for name := range documented {
		if served[name] == "" {
			t.Errorf("%s is in docs/metrics.md and not served", name)
		}
	}
	for name, heading := range map[string]string{
		"catenary_connections_ended_total": "## Why connections end", "catenary_handshakes_turned_away_total": "## Why handshakes are turned away",
	} {
		if got, want := s.whys(name), documentedWhys(t, heading); !slices.Equal(got, want) {
			t.Errorf("%s has why\n%v\nand docs/metrics.md\n%v", name, got, want)
		}
	}
	for name := range dashboardMetrics(t) {
		if base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count"); s.families[name] == nil && s.families[base] == nil {
			t.Errorf("docs/grafana.json asks for %s, which is not served", name)
		}
	}
}

var (
	metricRow  = regexp.MustCompile("(?m)^\\| `(catenary_\\w+)` \\| (\\w+) \\| ([^|]*)\\|")
	codeWord   = regexp.MustCompile("`(\\w+)`")
	metricName = regexp.MustCompile(`\b(?:catenary|process|go)_[a-z_]+`)
)

func readDoc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(projectRoot + "/docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func documentedMetrics(t *testing.T) map[string]string {
	metrics := map[string]string{}
	for _, row := range metricRow.FindAllStringSubmatch(readDoc(t, "metrics.md"), -1) {
		var labels []string
		for _, label := range codeWord.FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, label[1])
		}
		slices.Sort(labels)
		metrics[row[1]] = row[2] + " " + strings.Join(labels, " ")
	}
	return metrics
}

// documentedWhys are those in the first column of a part's table.
func documentedWhys(t *testing.T, heading string) (whys []string) {
	_, part, _ := strings.Cut(readDoc(t, "metrics.md"), heading+"\n")
	part, _, _ = strings.Cut(part, "\n#")
	for line := range strings.Lines(part) {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			for _, why := range codeWord.FindAllStringSubmatch(cells[1], -1) {
				whys = append(whys, why[1])
			}
		}
	}
	slices.Sort(whys)
	return whys
}

// dashboardMetrics are those that the dashboard's panels ask for.
func dashboardMetrics(t *testing.T) map[string]bool {
	var dashboard struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(readDoc(t, "grafana.json")), &dashboard); err != nil {
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
		t.Errorf("docs/grafana.json shows only %v", slices.Collect(maps.Keys(names)))
	}
	return names
}

// TestMetrics_AreServedBeforeRailsAnswers: what is wrong at the start can be seen too.
func TestMetrics_AreServedBeforeRailsAnswers(t *testing.T) {
	catenary := attempt(t, withSecret, "--backend-url", "http://"+freeAddress())
	err := catenary.process.waitFor(patience, func() error {
		text, err := get("http://" + catenary.operations + "/metrics")
		if err != nil {
			return err
		}
		return mentions(text, []string{`catenary_ready{part="rails"} 0`, `catenary_ready{part="broadcasts"} 0`, `catenary_call_seconds_count{do="settings",outcome="unsent"}`})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestOperations_NamesOnlyMetricsThatAreDocumented(t *testing.T) {
	documented := documentedMetrics(t)
	for _, name := range regexp.MustCompile(`\bcatenary_[a-z_]+`).FindAllString(readDoc(t, "operations.md"), -1) {
		if documented[name] == "" {
			t.Errorf("docs/operations.md names %s", name)
		}
	}
}
