package top

import (
	"math"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/status"
)

// sparkline draws the points as one line of width characters, the latest on the right. Each
// character shows the maximum of its points, so that no peak is lost.
func sparkline(points []status.Point, width int, value func(status.Point) float64) string {
	if width <= 0 || len(points) == 0 {
		return ""
	}
	step := int64((len(points)+width-1)/width) * 1000 // milliseconds per character, aligned to the clock to avoid flicker
	last := points[len(points)-1].At / step
	columns := make([]float64, width)
	for i := range columns {
		columns[i] = math.NaN()
	}
	most := 0.0
	for _, point := range points {
		i, v := width-1-int(last-point.At/step), value(point)
		if i >= 0 && !math.IsNaN(v) && !(columns[i] >= v) {
			columns[i] = v
			most = max(most, v)
		}
	}
	var line strings.Builder
	for _, v := range columns {
		switch {
		case math.IsNaN(v):
			line.WriteByte(' ')
		case most == 0:
			line.WriteRune('▁')
		default:
			line.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(v/most*8))])
		}
	}
	return line.String()
}
