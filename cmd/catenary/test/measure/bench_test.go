package measure

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/bench"
	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// `catenary bench` measures Rails' own Action Cable, and catenary in front of the same application,
// with small numbers. Every delivery must be accounted for, and the server's processes must be
// found.
func TestBench_MeasuresRailsAndCatenary(t *testing.T) {
	t.Parallel()
	var files []string
	for _, server := range []string{"rails", "catenary"} {
		w, err := stage.StartWorld(server, "own")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		pids := []string{"--pid", fmt.Sprintf("puma=%d", w.App.Process.Command.Process.Pid)}
		if w.Catenary != nil {
			pids = append(pids, "--pid", fmt.Sprintf("catenary=%d", w.Catenary.Process.Command.Process.Pid))
		}
		file := filepath.Join(t.TempDir(), server+".json")
		for scenario, flags := range map[string][]string{
			"":       {"--redis-url", w.Redis.URL(), "--streams", "3"}, // all scenarios
			"fanout": {"--rate", "50"},                                 // broadcasts by an action
		} {
			report := runBench(t, file, append([]string{scenario, "ws://" + w.Address + "/cable"}, append(pids, flags...)...))
			expectComplete(t, server, report)
		}
		files = append(files, server+"="+file)
	}
	if len(files) < 2 {
		return
	}
	page := filepath.Join(t.TempDir(), "bench.md")
	table := benchOutput(t, append([]string{"bench", "compare", "--markdown", page, "--svg", page + ".svg"}, files...))
	if !strings.Contains(table, "server CPU per million deliveries") || !strings.Contains(table, "rails") {
		t.Errorf("the comparison is\n%s", table)
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "(bench.md.svg)") {
		t.Errorf("the page is %s (%v)", text, err)
	}
}

// runBench runs `catenary bench`, appends its report to a file and returns it.
func runBench(t *testing.T, file string, arguments []string) (report bench.Report) {
	t.Helper()
	arguments = append([]string{"bench"}, arguments...)
	if arguments[1] == "" {
		arguments = append(arguments[:1], arguments[2:]...)
	}
	output := benchOutput(t, append(arguments, "--connections", "20", "--messages", "30", "--hold", "10s", "--timeout", stage.Patience.String(), "--patience", stage.Patience.String(), "--json"))
	if err := json.Unmarshal([]byte(output), &report); err != nil {
		t.Fatal(err)
	}
	to, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := report.WriteJSON(to); err != nil {
		t.Fatal(err)
	}
	return report
}

func benchOutput(t *testing.T, arguments []string) string {
	t.Helper()
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, arguments...)
	var stderr strings.Builder
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("catenary %s: %v\n%s", strings.Join(arguments, " "), err, stderr.String())
	}
	return string(output)
}

func expectComplete(t *testing.T, server string, report bench.Report) {
	t.Helper()
	for _, result := range report.Results {
		want := map[string]float64{"lost": 0, "duplicated": 0, "dropped": 0}
		switch result.Scenario {
		case "idle":
			want = map[string]float64{"connections": 20, "dropped": 0}
		case "fanout":
			want["deliveries"] = 30 * 20
			if strings.Contains(result.Settings, "3 streams") {
				want["deliveries"] = 10 * 20
			}
		case "echo":
			want["round_trips"] = 30
		case "storm":
			want = map[string]float64{"confirmed": 20, "failed": 0}
		}
		if server == "catenary" && (result.Scenario == "fanout" || result.Scenario == "echo") {
			want["reordered"] = 0 // Rails' threads may overtake each other
		}
		for key, value := range want {
			if result.Figures[key] != value {
				t.Errorf("%s, %s: %s is %v, want %v", server, result.Scenario, key, result.Figures[key], value)
			}
		}
		if result.Scenario == "idle" && result.Figures["pings"] < 20 {
			t.Errorf("%s: only %v pings in 10 seconds", server, result.Figures["pings"])
		}
	}
}
