package faults

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Every worker of the one Rails process is in connect, which takes longer than the test, and each
// node has more handshakes waiting. Pages have Puma's own threads, however many nodes there are.
func TestNodes_PagesDoNotWaitForConnections(t *testing.T) {
	for _, nodes := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) { pagesBesideHandshakes(t, nodes) })
	}
}

func pagesBesideHandshakes(t *testing.T, nodes int) {
	t.Parallel()
	e := stage.StartEdge(t, nodes, "", "--proxy", "--backend-open-timeout", "10m")
	const handshakes = 25
	for i, node := range e.Nodes {
		for range handshakes {
			conn, err := stage.Connect("", node.Address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			fmt.Fprint(conn, stage.Handshake("GET", "/cable?sleep=600", node.Address, nil))
		}
		e.WaitForMetric(i, fmt.Sprintf("catenary_handshakes %d", handshakes))
		e.WaitForMetric(i, "catenary_rails_workers_busy 4")
	}
	browser := http.Client{Timeout: stage.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 10 {
		for _, address := range append(addresses(e), e.App.Address) { // through each node, and to Puma itself
			response, err := browser.Get("http://" + address + "/up")
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Fatalf("the page was answered %s", response.Status)
			}
		}
	}
	for i := range e.Nodes {
		e.WaitForMetric(i, "catenary_connections_opened_total 0")
		e.WaitForMetric(i, fmt.Sprintf("catenary_handshakes %d", handshakes))
	}
}

func addresses(e *stage.Edge) (all []string) {
	for _, node := range e.Nodes {
		all = append(all, node.Address)
	}
	return all
}
