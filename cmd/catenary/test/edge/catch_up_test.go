package edge

import (
	"encoding/json"
	"html"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// youngPage is more than the age up to which catenary refreshes no page.
const youngPage = 11 * time.Second

const refresh = `"message":"\u003cturbo-stream action=\"refresh\"\u003e\u003c/turbo-stream\u003e"`

func TestCatchUp_WorksWithEveryTransportAdapterAndNode(t *testing.T) {
	for name, with := range map[string]struct {
		env      []string
		settings string
		flags    []string
	}{
		"over links":             {},
		"by POST":                {flags: []string{"--backend-transport", "post"}},
		"rebuilt":                {env: []string{"LAB_LIVE_LIMIT=0"}},
		"verified by catenary":   {settings: "    verify_streams: true\n"},
		"broadcasts over a link": {flags: []string{"--broadcasts-adapter", "rails"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"LAB_TURBO=original", "LAB_DISABLE_FORGERY_PROTECTION=true", "CATENARY_TURBO_CATCH_UP=refresh"}
			e := stage.StartEdgeOn(t, 2, append(env, with.env...), "  turbo:\n    catch_up: refresh\n"+with.settings, with.flags...)
			page, another := sources(e)[0], sources(e)[0]
			stayed := connect(e, 0)
			e.Subscribe(stayed, another)
			expectQuiet(e, stayed)
			time.Sleep(youngPage)

			returned := connect(e, 1)
			e.Subscribe(returned, page)
			e.Expect(returned, stage.About(page, refresh))
			expectQuiet(e, returned)
			forged := connect(e, 1)
			changed := regexp.MustCompile(`(catenary_stamp":")\w+`).ReplaceAllString(page, "${1}1")
			e.Subscribe(forged, changed)
			expectQuiet(e, forged)
			expectQuiet(e, stayed)
			if name != "broadcasts over a link" {
				e.Redis.Down()
				if err := e.Redis.Up(); err != nil {
					t.Fatal(err)
				}
				e.Expect(stayed, stage.About(another, refresh))
			}
		})
	}
}

func TestCatchUp_LogsWhyItHasNoEffect(t *testing.T) {
	t.Parallel()
	e := stage.StartEdgeOn(t, 1, []string{"LAB_TURBO=original"}, "  turbo:\n    catch_up: refresh\n")
	const words = `turbo.catch_up has no effect" reason="the application does not stamp pages`
	if err := e.Nodes[0].Process.WaitFor(func() error { return stage.Wrote(e.Nodes[0].Process, words) }); err != nil {
		t.Error(err)
	}
}

var element = regexp.MustCompile(`<turbo-cable-stream-source ([^>]*)>`)
var attribute = regexp.MustCompile(`([\w-]+)="([^"]*)"`)

// sources are the identifiers with which a page's elements subscribe.
func sources(e *stage.Edge) (identifiers []string) {
	e.Helper()
	page, err := e.App.Request("GET", "/boards/1", "")
	if err != nil {
		e.Fatal(err)
	}
	for _, found := range element.FindAllStringSubmatch(page, -1) {
		params := map[string]string{}
		for _, pair := range attribute.FindAllStringSubmatch(found[1], -1) {
			params[strings.ReplaceAll(strings.TrimPrefix(pair[1], "data-"), "-", "_")] = html.UnescapeString(pair[2])
		}
		text, _ := json.Marshal(params)
		identifiers = append(identifiers, string(text))
	}
	if len(identifiers) == 0 {
		e.Fatalf("the page has no source:\n%s", page)
	}
	return identifiers
}

func connect(e *stage.Edge, node int) *stage.Browser {
	e.Helper()
	b := e.Connect(node, "/cable?uid=7")
	e.Expect(b, stage.Welcome)
	return b
}

// expectQuiet reports an error if the browser receives anything but pings within 300 ms.
func expectQuiet(e *stage.Edge, b *stage.Browser) {
	e.Helper()
	time.Sleep(300 * time.Millisecond)
	if event, said := b.Poll(); said {
		e.Errorf("the browser received %s", event)
	}
}
