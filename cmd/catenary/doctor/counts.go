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

// nowhere is said of a handshake that no counter has counted.
const nowhere = "nowhere"

// HandshakeCounts reads from a catenary's /metrics how many handshakes came out
// how: "opened", "refused", or the reason why catenary rejected them.
func HandshakeCounts(operations string) func(context.Context) (map[string]float64, error) {
	return func(ctx context.Context) (map[string]float64, error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, operations+"/metrics", nil)
		if err != nil {
			return nil, fmt.Errorf("asking for metrics: %w", err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return nil, fmt.Errorf("asking for metrics: %w", err)
		}
		defer response.Body.Close()
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(response.Body)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %w", err)
		}
		counts := map[string]float64{}
		for name, outcome := range map[string]string{
			"catenary_connections_opened_total": "opened", "catenary_handshakes_rejected_by_rails_total": "refused", "catenary_handshakes_rejected_total": "",
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

// cameSince says what became of the visit's handshake at catenary: an outcome,
// nowhere, or "" if that cannot be told. Other visitors may come in the same
// moment; then it is a guess.
func (v Visit) cameSince(ctx context.Context, before map[string]float64, opened bool) string {
	after := v.counts(ctx)
	if before == nil || after == nil {
		return ""
	}
	for outcome, count := range after {
		if count > before[outcome] && accepts(outcome) == opened {
			return outcome
		}
	}
	return nowhere
}

// accepts tells whether a handshake with that outcome is answered with 101: a
// token that is refused is, since clients understand nothing else.
func accepts(outcome string) bool {
	return outcome == "opened" || strings.HasPrefix(outcome, "token_") && outcome != "token_keys_unavailable"
}
