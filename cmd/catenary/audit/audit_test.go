package audit

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// auditOf runs audit on an application made of these files, path and text in
// turn.
func auditOf(t *testing.T, files ...string) *Report {
	t.Helper()
	report, err := Run(folder(t, files...))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func folder(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(root, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

const aChannel = "app/channels/a_channel.rb"

// channelOf is audit's word on a channel with this body.
func channelOf(t *testing.T, body string, files ...string) Subject {
	t.Helper()
	report := auditOf(t, append([]string{aChannel, "class AChannel < ActionCable::Channel::Base\n" + body + "\nend\n"}, files...)...)
	if len(report.Channels) != 1 || len(report.Notes) > 0 {
		t.Fatalf("%q: got %d channels, notes %v", body, len(report.Channels), report.Notes)
	}
	return report.Channels[0]
}

// told writes findings as rule:line code.
func told(findings []Finding) []string {
	lines := []string{}
	for _, f := range findings {
		lines = append(lines, fmt.Sprintf("%s:%d %s", f.Rule, f.Line, f.Code))
	}
	return lines
}

func expect(t *testing.T, what string, got []Finding, want ...string) {
	t.Helper()
	if !slices.Equal(told(got), want) {
		t.Errorf("%s\n got %q\nwant %q", what, told(got), want)
	}
}

func TestRun_KnowsWhatIsAChannel(t *testing.T) {
	report := auditOf(t,
		"app/channels/application_cable/channel.rb", "module ApplicationCable\n class Channel < ActionCable::Channel::Base\n end\nend",
		"app/channels/application_cable/connection.rb", "module ApplicationCable\n class Connection < ActionCable::Connection::Base\n end\nend",
		"app/channels/room_channel.rb", "class RoomChannel < ApplicationCable::Channel\n class Helper\n end\nend",
		"app/channels/chats/presence_channel.rb", "module Chats\n class PresenceChannel < ::RoomChannel\n end\nend",
		"app/channels/reflex_channel.rb", "class ReflexChannel < StimulusReflex::Channel\nend",
		"app/channels/formatter.rb", "class Formatter < Base\nend",
		"engines/shop/app/channels/shop/cart_channel.rb", "class Shop::CartChannel < ApplicationCable::Channel\nend",
		"spec/app/channels/fake_channel.rb", "class FakeChannel < ApplicationCable::Channel\nend",
	)
	var names []string
	for _, s := range append(report.Channels, report.Connections...) {
		names = append(names, s.Name)
	}
	want := []string{"Chats::PresenceChannel", "ReflexChannel", "RoomChannel", "Shop::CartChannel", "ApplicationCable::Connection"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v", names)
	}
	if unseen := report.Channels[1].Unseen; !slices.Equal(unseen, []string{"StimulusReflex::Channel"}) {
		t.Errorf("unseen: %v", unseen)
	}
}

func TestRun_FollowsInheritanceAndConcerns(t *testing.T) {
	for _, path := range []string{"app/channels/concerns/ticking.rb", "app/models/concerns/ticking.rb", "app/channels/ticking.rb", "lib/ticking.rb"} {
		report := auditOf(t,
			"app/channels/application_cable/channel.rb", "class ApplicationCable::Channel < ActionCable::Channel::Base\n include Ticking, Comparable\nend",
			"app/channels/base_channel.rb", "class BaseChannel < ApplicationCable::Channel\nend",
			aChannel, "class AChannel < BaseChannel\nend",
			path, "module Ticking\n extend ActiveSupport::Concern\n included do\n  periodically :tick, every: 3.seconds\n end\nend",
		)
		if len(report.Channels) != 2 {
			t.Fatalf("got %d channels", len(report.Channels))
		}
		for _, c := range report.Channels {
			expect(t, path, c.Findings, "timers:4 periodically every: 3.seconds")
			if c.Findings[0].File != path || !slices.Equal(c.Unseen, []string{"Comparable"}) {
				t.Errorf("got %s, unseen %v", c.Findings[0].File, c.Unseen)
			}
		}
	}
}

func TestRun_TakesTheRootOrItsChannels(t *testing.T) {
	root := folder(t, aChannel, "class AChannel < ApplicationCable::Channel\nend", "README.md", "")
	for _, path := range []string{root, filepath.Join(root, "app/channels"), filepath.Join(root, "app", "channels") + "/"} {
		report, err := Run(path)
		if err != nil || len(report.Channels) != 1 {
			t.Errorf("%s: got %v, %v", path, report, err)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(root, "no"):        "there is no ",
		filepath.Join(root, "README.md"): "is no folder",
		t.TempDir():                      "has no app/channels",
	} {
		if _, err := Run(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestRun_SaysWhatItCouldNotRead(t *testing.T) {
	report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\n def x\n  foo(\n end\nend")
	if len(report.Notes) != 1 || report.Notes[0].Line == 0 {
		t.Errorf("got %v", report.Notes)
	}
}

func TestReport_IsATableAndASummary(t *testing.T) {
	report := auditOf(t,
		"app/channels/application_cable/channel.rb", "class ApplicationCable::Channel < ActionCable::Channel::Base\nend",
		"app/channels/a_channel.rb", "class AChannel < ApplicationCable::Channel\n def subscribed\n  stream_from('a') { |m| m }\n  stream_from('b') { |m| m }\n end\nend",
		"app/channels/b_channel.rb", "class BChannel < ApplicationCable::Channel\nend",
		"app/channels/c_channel.rb", "class CChannel < ApplicationCable::Channel\n def peek = connection.instance_variable_get(:@websocket)\nend",
	)
	var text strings.Builder
	if err := report.Text(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CHANNEL   RUNS          BECAUSE OF\nAChannel  pinned        stream blocks\nBChannel  plain         \nCChannel  pass-through  @websocket\n",
		"  app/channels/a_channel.rb:3  stream_from with a block\n  app/channels/a_channel.rb:4  stream_from with a block\n    Ruby runs",
		"-> pass_through: [CChannel]",
		"\n\naudit: 3 channels, 1 plain, 1 pinned, 1 needs pass-through\n",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("want %q in\n%s", want, text.String())
		}
	}
	if !report.Fails() {
		t.Error("does not fail")
	}
	var encoded strings.Builder
	if err := report.JSON(&encoded); err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		Channels []struct {
			Name, Runs string
			Findings   []struct{ Rule, File, Advice string }
		}
		Counts map[string]int
	}
	if err := json.Unmarshal([]byte(encoded.String()), &decoded); err != nil {
		t.Fatal(err)
	}
	if c := decoded.Channels[2]; c.Name != "CChannel" || c.Runs != "pass-through" || c.Findings[0].Rule != "@websocket" || decoded.Counts["plain"] != 1 {
		t.Errorf("got %s", encoded.String())
	}
}
