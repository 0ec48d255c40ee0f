package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Report is the result of one run.
type Report struct {
	URL     string    `json:"url"` // without its query, which may contain a token
	At      time.Time `json:"at"`
	Results []Result  `json:"results"`
}

// Result is the result of one scenario. Figures that could not be measured are absent.
type Result struct {
	Scenario string             `json:"scenario"`
	Settings string             `json:"settings"`
	Figures  map[string]float64 `json:"figures"`
	Spread   []Bin              `json:"-"` // distribution of latencies, or of times until confirmed; empty in idle
}

// WriteJSON writes the report on one line, so that runs can be appended to a file.
func (r *Report) WriteJSON(to io.Writer) error { return json.NewEncoder(to).Encode(r) }

// WriteTable writes the report for people.
func (r *Report) WriteTable(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, r.URL)
	for _, result := range r.Results {
		fmt.Fprintf(table, "\n%s: %s\n", result.Scenario, result.Settings)
		for _, key := range sortedKeys(result.Figures) {
			f := describe(key)
			fmt.Fprintf(table, "  %s\t%s\n", f.title, f.format(result.Figures[key]))
		}
	}
	return table.Flush()
}

// settings describes the options of a scenario.
func (o Options) settings(scenario string) string {
	connections := fmt.Sprintf("%s connections", thousands(float64(o.Connections)))
	if o.Streams > 1 {
		connections += fmt.Sprintf(" on %s streams", thousands(float64(o.Streams)))
	}
	switch scenario {
	case "idle":
		return fmt.Sprintf("%s, %v", connections, o.Hold)
	case "storm":
		return connections + " at once"
	}
	pace := fmt.Sprintf("%d in flight", o.InFlight)
	if o.Rate > 0 {
		pace = fmt.Sprintf("%s per second", thousands(o.Rate))
	}
	return fmt.Sprintf("%s, %s messages of %s bytes, %s", connections,
		thousands(float64(o.Messages)), thousands(float64(o.Size)), pace)
}
