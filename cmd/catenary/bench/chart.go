package bench

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// headlines are the figures on the chart: one or two of each scenario.
var headlines = []struct{ scenario, key, title string }{
	{"idle", "memory_kb_per_connection", "Memory of an idle connection"},
	{"fanout", "cpu_s_per_million", "CPU for a million deliveries"},
	{"fanout", "deliveries_per_s", "Deliveries per second"},
	{"fanout", "latency_p99_ms", "Broadcast latency, 99 %"},
	{"echo", "latency_p50_ms", "Action and its response, median"},
	{"echo", "round_trips_per_s", "Actions and responses per second"},
	{"storm", "confirmed_per_s", "Subscribed per second, in a storm"},
	{"storm", "confirm_p99_ms", "Until subscribed in a storm, 99 %"},
}

// Sizes in the chart, in pixels.
const (
	chartWidth = 860
	barLeft    = 280
	barWidth   = 370 // of the longer bar
	barHeight  = 16
	rowHeight  = 58
	chartHead  = 74
)

// chartStyle suits light and dark pages.
const chartStyle = `
text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-size: 17px; font-weight: 600 }
.what, .gain { font-weight: 600 }
.hint { fill: #6e7781; font-size: 12px }
.first { fill: #b9c0c8 }
.second { fill: #0f766e }
.others { fill: #8fc7c1 }
.page { fill: #ffffff; stroke: #d0d7de }
`

// WriteChart writes an SVG with two bars for each headline, and the gain.
func (c *Comparison) WriteChart(to io.Writer) error {
	var rows []*Comparable
	var titles []string
	for _, headline := range headlines {
		if row := c.find(headline.scenario, headline.key); row != nil && row.Medians[0] != nil && row.Medians[1] != nil {
			rows, titles = append(rows, row), append(titles, headline.title)
		}
	}
	height := chartHead + rowHeight*len(rows) + 10
	svg := bufio.NewWriter(to)
	fmt.Fprintf(svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">`+"\n", chartWidth, height, chartWidth, height)
	fmt.Fprintf(svg, "<title>%s</title>\n<style>%s</style>\n", escape(c.Names[0]+" and "+c.Names[1]), chartStyle)
	fmt.Fprintf(svg, `<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", chartWidth-1, height-1)
	text(svg, 24, 36, "title", c.Names[0]+" and "+c.Names[1])
	for side, class := range []string{"first", "second"} {
		x := barLeft + 190*side
		fmt.Fprintf(svg, `<rect class="%s" x="%d" y="25" width="12" height="12" rx="3"/>`+"\n", class, x)
		text(svg, x+18, 36, "", c.Names[side])
	}
	others := false
	for i, row := range rows {
		others = c.draw(svg, row, titles[i], chartHead+rowHeight*i) || others
	}
	if others {
		fmt.Fprintf(svg, `<rect class="others" x="%d" y="25" width="12" height="12" rx="3"/>`+"\n", barLeft+380)
		text(svg, barLeft+398, 36, "", "the app behind it")
	}
	fmt.Fprintln(svg, "</svg>")
	return svg.Flush()
}

// draw draws one row. It reports whether the second bar has a part for other processes than the one
// with the server's name.
func (c *Comparison) draw(svg io.Writer, r *Comparable, title string, y int) (others bool) {
	f := describe(r.Figure)
	hint := "longer is better"
	if f.better == lower {
		hint = "shorter is better"
	}
	text(svg, 24, y+15, "what", title)
	text(svg, 24, y+33, "hint", hint)
	longest := max(*r.Medians[0], *r.Medians[1])
	first, second := pixels(*r.Medians[0], longest), pixels(*r.Medians[1], longest)
	own := second
	if part := c.find(r.Scenario, r.Figure+"."+c.Names[1]); part != nil && part.Medians[1] != nil {
		own = min(pixels(*part.Medians[1], longest), second)
	}
	bar(svg, "first", y, first)
	bar(svg, "others", y+barHeight+4, second)
	bar(svg, "second", y+barHeight+4, own)
	text(svg, barLeft+first+8, y+barHeight-4, "", f.format(*r.Medians[0]))
	text(svg, barLeft+second+8, y+2*barHeight, "", f.format(*r.Medians[1]))
	text(svg, chartWidth-110, y+barHeight+8, "gain", gained(r.Gain))
	return own < second
}

func pixels(value, longest float64) int {
	if longest <= 0 {
		return 2
	}
	return max(int(max(value, 0)/longest*barWidth), 2)
}

func bar(svg io.Writer, class string, y, length int) {
	fmt.Fprintf(svg, `<rect class="%s" x="%d" y="%d" width="%d" height="%d" rx="3"/>`+"\n", class, barLeft, y, length, barHeight)
}

func text(svg io.Writer, x, y int, class, content string) {
	fmt.Fprintf(svg, `<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, escape(content))
}

func escape(content string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(content))
	return b.String()
}
