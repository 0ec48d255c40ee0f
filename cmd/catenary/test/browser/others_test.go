package browser

import (
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The scripts of docs/others.md, as they are. The first page has no stream; a visit of Turbo's leads
// to one that has.
func TestOthers_APageDoesNotReceiveWhatItPosts(t *testing.T) {
	t.Parallel()
	w := startTurbo(t)
	author := stage.NewUser(t, stage.StartChromium(t))
	reader := author.NewTab()
	for _, tab := range []*stage.Tab{author, reader} {
		tab.Open(w.page("first", "others=1"))
		tab.ExpectThat("Turbo", `typeof Turbo === "object"`)
		stage.Evaluate[bool](tab, `Turbo.visit("/pages/second?others=1&streams=posts"); true`)
		tab.ExpectThat("the second page", `document.title === "second"`)
		w.expectSources(tab, 1, 1)
	}
	author.Click("#post")
	reader.ExpectText(".message", "mine")
	w.expectMessages(author, []string{"posts"})
	w.expectMessages(reader, []string{"posts"}, "mine")
}
