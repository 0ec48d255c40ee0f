package rpc_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/rpc"
	"github.com/catenary-cable/catenary/rpc/rpctest"
)

// unused returns a client that does not Run.
func unused(t *testing.T, url, transport string) *rpc.Client {
	t.Helper()
	client, err := rpc.NewClient(rpc.Options{
		URL: url, Secret: "secret", Node: "n", Transport: transport, Timeout: patience, Queue: 10,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func probe(t *testing.T, url, transport string) (rpc.Probe, error) {
	t.Helper()
	return unused(t, url, transport).Probe(t.Context())
}

func TestProbe_FindsAProcess(t *testing.T) {
	rails := rpctest.New(t, "secret", fine, func(r *rpctest.Rails) { r.Workers, r.Count = 5, 2 })
	found, err := probe(t, rails.URL, rpc.Auto)
	if err != nil || found.Transport != rpc.Link || len(found.Processes) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	if p := found.Processes[0]; p != (rpc.ProbedProcess{ID: rails.Name, Index: -1, Count: 2, Workers: 5}) {
		t.Errorf("%+v", p)
	}
}

func TestProbe_ReportsWhyCallsGoByPOST(t *testing.T) {
	for status, reason := range map[int]string{
		http.StatusUpgradeRequired: "a proxy between",
		http.StatusNotImplemented:  "rack.hijack",
		http.StatusNotFound:        "answers POST /_catenary but no upgrade",
	} {
		backend := postOnly(t, status)
		found, err := probe(t, backend, rpc.Auto)
		if err != nil || found.Transport != rpc.Post || !strings.Contains(found.Reason, reason) {
			t.Errorf("%d: %+v, %v", status, found, err)
		}
		if _, err := probe(t, backend, rpc.Link); err == nil {
			t.Errorf("%d: an error was expected", status)
		}
		if found, err := probe(t, backend, rpc.Post); err != nil || found.Transport != rpc.Post {
			t.Errorf("%d: %+v, %v", status, found, err)
		}
	}
}

func TestProbe_ReportsWhatIsWrong(t *testing.T) {
	other := rpctest.New(t, "another", fine)
	var rejected *rpc.StatusError
	if _, err := probe(t, other.URL, rpc.Auto); !errors.As(err, &rejected) || rejected.Status != http.StatusForbidden {
		t.Error(err)
	}
	other.Server.Close()
	if _, err := probe(t, other.URL, rpc.Auto); !errors.Is(err, rpc.ErrNotSent) {
		t.Error(err)
	}
}

func TestSettings_AreAskedForLessAndLessOftenWithoutTheGem(t *testing.T) {
	var asked atomic.Int32
	var knows atomic.Bool
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if !knows.Load() {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, `{"v":1,"process":"b","results":[],"settings":{"rails":"0"}}`)
	}))
	defer backend.Close()
	client := unused(t, backend.URL, rpc.Post)
	for range 20 {
		var answer *rpc.StatusError
		if _, err := client.Settings(patience); !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
			t.Fatalf("got %v", err)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("Rails was asked %d times at once", n)
	}
	knows.Store(true)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if settings, err := client.Settings(patience); err == nil && settings.Rails == "0" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("Rails was not asked again")
		}
	}
}
