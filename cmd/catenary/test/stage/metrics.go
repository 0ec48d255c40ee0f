package stage

import (
	"fmt"
	"slices"
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
	s, err := e.scrape(0)
	if err != nil {
		e.Fatal(err)
	}
	return s
}

// WaitForMetric waits until /metrics of a node have a line.
func (e *Edge) WaitForMetric(node int, line string) (s Scraped) {
	e.Helper()
	err := e.Nodes[node].Process.WaitFor(func() (err error) {
		s, err = e.scrape(node)
		if err == nil && !slices.Contains(strings.Split(s.Text, "\n"), line) {
			err = fmt.Errorf("the metrics of node %d do not have %q", node, line)
		}
		return err
	})
	if err != nil {
		e.Fatalf("%v\n%s", err, s.Text)
	}
	return s
}

func (e *Edge) scrape(node int) (Scraped, error) {
	text, err := Get("http://" + e.Nodes[node].Operations + "/metrics")
	if err != nil {
		return Scraped{}, err
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		return Scraped{}, fmt.Errorf("%w\n%s", err, text)
	}
	return Scraped{text, families}, nil
}

// Reason returns the value of a counter for one value of its only label, 0 if there is none.
func (s Scraped) Reason(name, value string) float64 {
	for _, metric := range s.Families[name].Metric {
		if metric.Label[0].GetValue() == value {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

// Gauge returns the value of a gauge without labels.
func (s Scraped) Gauge(name string) float64 { return s.Families[name].Metric[0].GetGauge().GetValue() }
