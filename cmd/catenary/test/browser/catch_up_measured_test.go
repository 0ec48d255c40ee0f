package browser

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var measureCatchUp = flag.Bool("catch-up", false, "compare frozen tabs with Rails' own Action Cable, which takes five minutes")

// TestCatchUp_Measured freezes a tab three times for eight seconds while notes are added, with
// catenary and with Rails' own Action Cable:
//
//	go test ./cmd/catenary/test/browser -run Measured -count=1 -v -args -catch-up
func TestCatchUp_Measured(t *testing.T) {
	if !*measureCatchUp {
		t.Skip("without -catch-up")
	}
	t.Log("| | added | missing | doubled | page loads |")
	for _, server := range []string{"Rails", "catenary"} {
		b := startBoardOn(t, server)
		b.page.Open(b.url("/boards/1"))
		b.awaitSources()
		b.page.Write("#draft", "half a sentence")
		time.Sleep(youngPage)
		stop, added := make(chan struct{}), make(chan int)
		go func() {
			n := 0
			for tick := time.NewTicker(400 * time.Millisecond); ; n++ {
				select {
				case <-stop:
					added <- n
					return
				case <-tick.C:
				}
				if err := b.store(fmt.Sprint("note ", n)); err != nil {
					t.Error(err)
				}
			}
		}()
		for range 3 {
			b.freeze()
			time.Sleep(8 * time.Second)
			b.thaw()
			time.Sleep(15 * time.Second)
		}
		time.Sleep(time.Minute) // within which a page is loaded once
		close(stop)
		n := <-added
		time.Sleep(time.Second)
		shown := stage.Evaluate[[]string](b.page, `[...document.querySelectorAll(".note")].map(note => note.textContent)`)
		different := map[string]bool{}
		for _, note := range shown {
			different[note] = true
		}
		loads, _ := b.world.App.Request("GET", "/board_loads", "")
		t.Logf("| %s | %d | %d | %d | %s |", server, n, n-len(different), len(shown)-len(different), loads)
		b.expectDraft("half a sentence")
	}
}

// startBoardOn starts a board with catenary or with Rails alone.
func startBoardOn(t *testing.T, server string) *board {
	if server == "catenary" {
		return startBoard(t)
	}
	w := &stage.World{}
	t.Cleanup(w.Close)
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	w.App, err = stage.StartApp("lab", false, "LAB_TURBO="+turboRails(), "REDIS_URL="+w.Redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	w.Address = w.App.Address
	return &board{t: t, world: w, page: stage.NewUser(t, stage.StartChromium(t))}
}
