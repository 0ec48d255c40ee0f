package config

import (
	"slices"
	"testing"
)

func TestLoad_NeedsNoBroadcastsWhenEverythingIsPassedThrough(t *testing.T) {
	root := app(t, map[string]string{cableFile: "development:\n  adapter: any_cable\n"})
	c := mustLoad(t, Input{Root: root, Flags: parseFlags(t, "--pass-through=all")})
	if !c.PassesAll() {
		t.Errorf("got %v", c.PassThrough)
	}
	c = mustLoad(t, Input{Root: t.TempDir(), Environ: []string{"CATENARY_PASS_THROUGH=GraphqlChannel, ::Admin::LogChannel"}})
	if c.PassesAll() || !slices.Equal(c.PassThrough, []string{"GraphqlChannel", "::Admin::LogChannel"}) {
		t.Errorf("got %v", c.PassThrough)
	}
	if _, err := Load(Input{Root: root, Flags: parseFlags(t, "--pass-through=GraphqlChannel")}); err == nil {
		t.Error("with channels alone, the other broadcasts must still be found")
	}
}
