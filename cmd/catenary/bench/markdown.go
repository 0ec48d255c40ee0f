package bench

import (
	"bufio"
	"fmt"
	"io"
)

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
