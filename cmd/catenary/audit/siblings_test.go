package audit

import "testing"

func TestSiblings_AreThere(t *testing.T) {
	s := channelOf(t, "def others\n connection.subscriptions.identifiers\nend")
	expect(t, "subscriptions", s.Findings, "subscriptions:3 connection.subscriptions")
	if s.Runs != Plain {
		t.Errorf("runs %v", s.Runs)
	}
}
