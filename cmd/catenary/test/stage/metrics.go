package stage

import (
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Scraped is a parsed answer of /metrics.
type Scraped struct {
	Text     string
	Families map[string]*dto.MetricFamily
}

// Scrape reads /metrics of the first node.
func (e *Edge) Scrape() Scraped {
	e.Helper()
	text, err := Get("http://" + e.Nodes[0].Operations + "/metrics")
	if err != nil {
		e.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		e.Fatalf("%v\n%s", err, text)
	}
	return Scraped{text, families}
}

// Counter returns the value of a counter with this value of its only label, 0 if there is none.
func (s Scraped) Counter(name, value string) float64 {
	for _, metric := range s.Families[name].Metric {
		if metric.Label[0].GetValue() == value {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

// Gauge returns the value of a gauge without labels.
func (s Scraped) Gauge(name string) float64 { return s.Families[name].Metric[0].GetGauge().GetValue() }
