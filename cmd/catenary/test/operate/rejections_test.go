package operate

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The real app rejects the handshakes. The test reads catenary's log and the app's.
func TestLog_HasTheReasonOfRejectedHandshakes(t *testing.T) {
	t.Parallel()
	e := stage.StartEdgeOn(t, 1, nil, "")
	for _, rejected := range []struct {
		path    string
		changes []string
		log     []string
	}{
		{"/cable", []string{"Host: app.example", "Origin: https://app.example"}, []string{"reason=origin", "status=404", "host=app.example", "origin=https://app.example", "scheme=http ", "X-Forwarded-Proto: https"}},
		{"/cable", []string{"Host: app.example", "Origin: http://elsewhere.example"}, []string{"reason=origin", "origin=http://elsewhere.example", "pass on Host"}},
		{"/cable", []string{"Upgrade: (none)", "Connection: (none)"}, []string{"reason=no_upgrade", "proxy_http_version 1.1"}},
		{"/cable?mode=raise", nil, []string{"raised an exception", "reason=connect_failed", "connection=n-"}},
	} {
		e.Connect(0, rejected.path, rejected.changes...)
		err := e.Nodes[0].Process.WaitFor(func() (err error) {
			for line := range strings.Lines(e.Nodes[0].Process.Output.String()) {
				if err = stage.Mentions(line, rejected.log); err == nil {
					return nil
				}
			}
			return err
		})
		if err != nil {
			t.Errorf("%s %v: %v", rejected.path, rejected.changes, err)
		}
	}
	b := e.Connect(0, "/cable?mode=reject")
	e.Expect(b, stage.Unauthorized)
	e.WaitForMetric(0, `catenary_connections_ended_total{reason="connect_failed"} 1`)
	e.WaitForMetric(0, `catenary_connections_ended_total{reason="rails_closed"} 1`)
	e.WaitForMetric(0, `catenary_connections 0`)
	if _, log, _ := strings.Cut(e.App.Process.Output.String(), "Use Ctrl-C"); strings.Contains(log, "[catenary]") || strings.Contains(log, "RoutingError") {
		t.Errorf("Rails' log has errors where nothing failed:\n%s", log)
	}
}
