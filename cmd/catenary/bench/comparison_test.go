package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func report(figures map[string]float64) Report {
	return Report{Results: []Result{{Scenario: "fanout", Settings: "500 connections", Figures: figures}}}
}

func example() *Comparison {
	return Compare([2]string{"Rails", "catenary <&>"}, [2][]Report{
		{
			report(map[string]float64{"cpu_s_per_million": 150, "deliveries_per_s": 6000, "lost": 0}),
			report(map[string]float64{"cpu_s_per_million": 172, "deliveries_per_s": 5000, "lost": 0}),
			report(map[string]float64{"cpu_s_per_million": 900, "deliveries_per_s": 100, "lost": 7}),
		},
		{
			report(map[string]float64{"cpu_s_per_million": 4, "cpu_s_per_million.catenary <&>": 3.5, "deliveries_per_s": 2500, "lost": 0}),
		},
	})
}

func TestComparison_ShowsMediansSideBySide(t *testing.T) {
	var table bytes.Buffer
	if err := example().WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	const want = `
fanout: 500 connections
                                                          Rails   catenary <&>   
  deliveries per second                                   5,000   2,500          2.0× worse
  server CPU per million deliveries                       172 s   4 s            43× better
  server CPU per million deliveries, of it catenary <&>           3.50 s         
  lost                                                    7       0              
`
	if got := table.String(); got != want {
		t.Errorf("got%s", got)
	}
}

func TestComparison_IsAPage(t *testing.T) {
	var page bytes.Buffer
	if err := example().WriteMarkdown(&page, "A note.", "bench.svg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Rails and catenary <&>, measured\n\nA note.\n\nMedians of 3 runs of Rails and 1 of catenary <&>; the worst run for lost",
		"](bench.svg)\n",
		"| server CPU per million deliveries | 172 s | 4 s | 43× better |\n",
	} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q:\n%s", want, page.String())
		}
	}
}

func TestComparison_IsAChart(t *testing.T) {
	var chart bytes.Buffer
	if err := example().WriteChart(&chart); err != nil {
		t.Fatal(err)
	}
	var texts []string
	decoder := xml.NewDecoder(&chart)
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the chart is not XML: %v", err)
		}
		if data, ok := token.(xml.CharData); ok {
			texts = append(texts, string(data))
		}
	}
	for _, want := range []string{"catenary <&>", "CPU for a million deliveries", "172 s", "4 s", "the app behind it", "43× better", "2.0× worse"} {
		if !strings.Contains(strings.Join(texts, "\n"), want) {
			t.Errorf("the chart lacks %q", want)
		}
	}
}

func TestReports_AreReadAsWritten(t *testing.T) {
	var file bytes.Buffer
	for _, value := range []float64{1, 2} {
		r := report(map[string]float64{"lost": value})
		r.WriteJSON(&file)
	}
	reports, err := ReadReports(&file)
	if err != nil || len(reports) != 2 || reports[1].Results[0].Figures["lost"] != 2 {
		t.Errorf("got %v %v", reports, err)
	}
	if _, err := ReadReports(strings.NewReader("a table")); err == nil {
		t.Error("a table was accepted as JSON")
	}
}

func TestFigures_AreShort(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 7: "7", 0.123: "0.12", 12.34: "12.3", 123.4: "123", 1234: "1,234", 1234567: "1,234,567", -1234: "-1,234", -123: "-123"} {
		if got := thousands(value); got != want {
			t.Errorf("%v is %s, want %s", value, got, want)
		}
	}
}
