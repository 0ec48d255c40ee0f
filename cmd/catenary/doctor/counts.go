package doctor

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Outcomes of a handshake at catenary, besides the reasons for which it rejects handshakes itself.
const (
	opened          = "opened"
	rejectedByRails = "rejected by Rails"
	notCounted      = "not counted" // it has reached something other than this catenary
)

// HandshakeCounts returns a function that reads the number of handshakes by outcome from a
// catenary's /metrics.
func HandshakeCounts(operations string) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, operations+"/metrics", nil)
		if err != nil {
			return nil, fmt.Errorf("fetching metrics: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, fmt.Errorf("fetching metrics: %w", err)
		}
		defer response.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(response.Body)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %w", err)
		}
		counts := map[string]float64{}
		for name, outcome := range map[string]string{
			"catenary_connections_opened_total":           opened,
			"catenary_handshakes_rejected_by_rails_total": rejectedByRails,
			"catenary_handshakes_rejected_total":          "", // the label has the reason
		} {
			for _, metric := range families[name].GetMetric() {
				if len(metric.Label) > 0 {
					outcome = metric.Label[0].GetValue()
				}
				counts[outcome] = metric.GetCounter().GetValue()
			}
		}
		return counts, nil
	}
}

// counts is nil if the counters cannot be read.
func (v Visit) counts(ctx context.Context) map[string]float64 {
	if v.Counts == nil {
		return nil
	}
	counts, err := v.Counts(ctx)
	if err != nil {
		return nil
	}
	return counts
}

// outcomeSince returns the outcome that catenary has counted for the visit's handshake, or "" if
// its counters cannot be read. If other browsers connect at the same time, it is a guess.
func (v Visit) outcomeSince(ctx context.Context, before map[string]float64, upgraded bool) string {
	after := v.counts(ctx)
	if before == nil || after == nil {
		return ""
	}
	for outcome, count := range after {
		if count > before[outcome] && upgrades(outcome) == upgraded {
			return outcome
		}
	}
	return notCounted
}

// upgrades reports whether catenary answers a handshake of that outcome with 101. It does so if it
// rejects a token, because clients understand no other answer.
func upgrades(outcome string) bool {
	return outcome == opened || strings.HasPrefix(outcome, "token_") && outcome != "token_keys_unavailable"
}
