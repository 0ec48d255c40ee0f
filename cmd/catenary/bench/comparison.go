package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// Comparison has the medians of two servers' runs, or the worst run for figures that should be 0.
type Comparison struct {
	Names   [2]string    `json:"names"` // the second is compared to the first
	Runs    [2]int       `json:"runs"`
	Results []Comparable `json:"results"`
}

// Comparable is one figure of one scenario. For a figure that only one server has, such as the CPU
// of one of its processes, the other's median is nil.
type Comparable struct {
	Scenario string      `json:"scenario"`
	Settings string      `json:"settings"`
	Figure   string      `json:"figure"`
	Medians  [2]*float64 `json:"medians"`
	// Gain is how many times better the second server is, below 1 if it is worse, 0 if that is
	// unknown.
	Gain float64 `json:"gain,omitempty"`
}

// ReadReports reads any number of reports that WriteJSON has written.
func ReadReports(from io.Reader) (reports []Report, err error) {
	for decoder := json.NewDecoder(from); ; {
		var r Report
		err := decoder.Decode(&r)
		if errors.Is(err, io.EOF) {
			return reports, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the output of catenary bench --json: %w", err)
		}
		reports = append(reports, r)
	}
}

// Compare takes the medians over each server's reports.
func Compare(names [2]string, reports [2][]Report) *Comparison {
	c := &Comparison{Names: names}
	values, settings := [2]map[string]map[string][]float64{}, map[string]string{}
	for side := range reports {
		values[side] = map[string]map[string][]float64{}
		for _, report := range reports[side] {
			for _, result := range report.Results {
				settings[result.Scenario] = result.Settings
				if values[side][result.Scenario] == nil {
					values[side][result.Scenario] = map[string][]float64{}
				}
				for key, value := range result.Figures {
					values[side][result.Scenario][key] = append(values[side][result.Scenario][key], value)
				}
			}
		}
	}
	for _, scenario := range Scenarios() {
		known := map[string]float64{}
		for side := range values {
			for key := range values[side][scenario] {
				known[key] = 0
			}
		}
		for _, key := range sortedKeys(known) {
			row := Comparable{Scenario: scenario, Settings: settings[scenario], Figure: key}
			for side := range values {
				row.Medians[side] = summarize(values[side][scenario][key], describe(key).better)
				c.Runs[side] = max(c.Runs[side], len(values[side][scenario][key]))
			}
			row.Gain = gain(describe(key).better, row.Medians)
			c.Results = append(c.Results, row)
		}
	}
	return c
}

// summarize returns the median, or the worst value of a figure that should be 0.
func summarize(values []float64, better better) *float64 {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values)
	if better == never {
		return &values[len(values)-1]
	}
	middle := (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	return &middle
}

func gain(better better, medians [2]*float64) float64 {
	if medians[0] == nil || medians[1] == nil || *medians[0] <= 0 || *medians[1] <= 0 {
		return 0
	}
	switch better {
	case lower:
		return *medians[0] / *medians[1]
	case higher:
		return *medians[1] / *medians[0]
	}
	return 0
}

// gained formats a gain.
func gained(gain float64) string {
	switch {
	case gain == 0:
		return ""
	case gain > 1/1.05 && gain < 1.05:
		return "the same"
	case gain < 1:
		return ratio(1/gain) + "× worse"
	}
	return ratio(gain) + "× better"
}

// ratio formats with two significant digits; more would suggest a false precision.
func ratio(r float64) string {
	switch {
	case r < 10:
		return fmt.Sprintf("%.1f", r)
	case r < 100:
		return fmt.Sprintf("%.0f", r)
	}
	return thousands(math.Round(r/10) * 10)
}

// find returns a row, or nil.
func (c *Comparison) find(scenario, key string) *Comparable {
	for i, row := range c.Results {
		if row.Scenario == scenario && row.Figure == key {
			return &c.Results[i]
		}
	}
	return nil
}

// cells returns the columns of a row: title, both medians, gain.
func (r *Comparable) cells() [4]string {
	f := describe(r.Figure)
	cells := [4]string{f.title, "", "", gained(r.Gain)}
	for side, value := range r.Medians {
		if value != nil {
			cells[side+1] = f.format(*value)
		}
	}
	return cells
}

// WriteTable writes the comparison for a terminal.
func (c *Comparison) WriteTable(to io.Writer) error {
	table, last := tabwriter.NewWriter(to, 0, 0, 3, ' ', 0), ""
	for i := range c.Results {
		row := &c.Results[i]
		if row.Scenario != last {
			last = row.Scenario
			fmt.Fprintf(table, "\n%s: %s\n  \t%s\t%s\t\n", row.Scenario, row.Settings, c.Names[0], c.Names[1])
		}
		cells := row.cells()
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\n", cells[0], cells[1], cells[2], cells[3])
	}
	return table.Flush()
}

// WriteMarkdown writes the comparison as a page. note says what was measured, chart is the path of
// the chart relative to the page; both may be empty.
func (c *Comparison) WriteMarkdown(to io.Writer, note, chart string) error {
	page, last := bufio.NewWriter(to), ""
	fmt.Fprintf(page, "# %s and %s, measured\n", c.Names[0], c.Names[1])
	if note != "" {
		fmt.Fprintf(page, "\n%s\n", note)
	}
	fmt.Fprintf(page, "\nMedians of %d runs of %s and %d of %s; "+
		"the worst run for lost, duplicated, out of order, dropped and failed.\n",
		c.Runs[0], c.Names[0], c.Runs[1], c.Names[1])
	if chart != "" {
		fmt.Fprintf(page, "\n![%s and %s](%s)\n", c.Names[0], c.Names[1], chart)
	}
	for i := range c.Results {
		row := &c.Results[i]
		if row.Scenario != last {
			last = row.Scenario
			fmt.Fprintf(page, "\n## %s\n%s\n\n| | %s | %s | |\n| --- | ---: | ---: | --- |\n",
				row.Scenario, row.Settings, c.Names[0], c.Names[1])
		}
		cells := row.cells()
		fmt.Fprintf(page, "| %s | %s | %s | %s |\n", cells[0], cells[1], cells[2], cells[3])
	}
	return page.Flush()
}
