package rails

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/catenary-cable/catenary/rpc"
)

// A trial is what makes a channel of the laboratory show what it runs as.
type trial struct {
	params  map[string]any
	perform map[string]any
}

// trials are for channels that need more than a subscribe.
var trials = map[string]trial{
	"GraphqlChannel":       {perform: map[string]any{"action": "execute", "query": "q", "topic": "t"}},
	"ModelChannel":         {params: map[string]any{"id": 1}},
	"StreamChannel":        {params: map[string]any{"s": []string{"audit"}}},
	"TallyChannel":         {params: map[string]any{"s": "audit"}},
	"BenchChannel":         {params: map[string]any{"stream": "audit"}},
	"WrappingChannel":      {params: map[string]any{"s": "audit"}},
	"RejectChannel":        {params: map[string]any{"s": 1}},
	"RaiseChannel":         {params: map[string]any{"s": "audit"}},
	"Chats::FooBarChannel": {params: map[string]any{"x": "audit"}},
	"EchoChannel":          {perform: map[string]any{"action": "follow", "s": "audit"}},
	"LateChannel":          {perform: map[string]any{"action": "say", "s": 0}},
	"CounterChannel":       {perform: map[string]any{"action": "increment"}},
}

// TestAudit_SaysOfTheLaboratoryWhatTheGemDoes compares audit's word on every
// channel with what the gem answers when it is subscribed to: which streams
// have a token, whether there are timers, which variables it cannot keep.
func TestAudit_SaysOfTheLaboratoryWhatTheGemDoes(t *testing.T) {
	t.Parallel()
	channels := auditOfLab(t)
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app, err := stage.StartApp("lab", true, "REDIS_URL="+redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	client, err := rpc.NewClient(rpc.Options{URL: app.URL(), Secret: stage.SecretKeyBase, Node: "audit", Transport: rpc.Post, Timeout: stage.Patience, Queue: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	proven := map[string]int{}
	for _, channel := range channels {
		if _, ok := failures[channel.Name]; ok {
			continue // TestAudit_SaysWhatCannotWork looks at these
		}
		runs, lost, err := observe(client, channel.Name)
		if err != nil {
			t.Errorf("%s: %v", channel.Name, err)
			continue
		}
		if runs != channel.Runs {
			t.Errorf("%s: audit says %s, and the gem %s", channel.Name, channel.Runs, runs)
		}
		if foretold := variables(channel); !slices.Equal(foretold, lost) {
			t.Errorf("%s: audit says that %v cannot be kept, and the gem %v", channel.Name, foretold, lost)
		}
		proven[runs]++
	}
	for _, runs := range []string{plain, timers, live, pinned} {
		if proven[runs] == 0 {
			t.Errorf("no channel of the laboratory is %v", runs)
		}
	}
}

// variables are those that cannot be kept, or not as they are, by audit's word.
func variables(channel auditedChannel) []string {
	var names []string
	for _, f := range channel.Findings {
		if name, _, _ := strings.Cut(f.Code, " = "); f.Rule == "unserialisable state" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// observe subscribes to a channel as catenary does, and reads from the answer
// what it runs as, and which variables cannot be kept.
func observe(client *rpc.Client, channel string) (runs string, lost []string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), stage.Patience)
	defer cancel()
	request := rpc.Request{Method: "GET", URL: "http://app.example/cable", IP: "127.0.0.1", Headers: [][2]string{
		{"Host", "app.example"}, {"Connection", "Upgrade"}, {"Upgrade", "websocket"}, {"Origin", "http://app.example"},
		{"Sec-WebSocket-Version", "13"}, {"Sec-WebSocket-Key", stage.WebSocketKey}}}
	opened, err := result(client.Call(ctx, rpc.Call{Connection: channel, Do: rpc.Open, Request: request.Encode(), Protocol: "actioncable-v1-json"}))
	if err != nil {
		return "", nil, err
	}
	identifier := encode(merged(map[string]any{"channel": channel}, trials[channel].params))
	frames := []string{encode(map[string]any{"command": "subscribe", "identifier": identifier})}
	if data := trials[channel].perform; data != nil {
		frames = append(frames, encode(map[string]any{"command": "message", "identifier": identifier, "data": encode(data)}))
	}
	r, err := result(client.Call(ctx, rpc.Call{Connection: channel, Do: rpc.Frames, Version: opened.Version, Frames: frames}))
	if err != nil {
		return "", nil, err
	}
	runs = plain
	for _, warning := range r.Warnings {
		if _, after, found := strings.Cut(warning, channel+": "); found {
			name, _, _ := strings.Cut(after, " ")
			lost = append(lost, name)
			runs = live
		}
	}
	if outcome := r.Channels[identifier]; outcome != nil && len(outcome.Timers) > 0 {
		runs = timers
	}
	for _, op := range r.Ops {
		if op.Kind == rpc.OpSub && op.Token != nil {
			runs = pinned
		}
	}
	slices.Sort(lost)
	return runs, lost, nil
}

func result(r *rpc.Result, err error) (rpc.Result, error) {
	switch {
	case err != nil:
		return rpc.Result{}, err
	case r.Error != nil:
		return rpc.Result{}, r.Error
	case r.Need != "":
		return rpc.Result{}, fmt.Errorf("the gem needs %s", r.Need)
	}
	return *r, nil
}

func merged(a, b map[string]any) map[string]any {
	for key, value := range b {
		a[key] = value
	}
	return a
}

func encode(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// A failure is a channel that does not do behind catenary what it does
// natively: what it transmits after these actions there, and here. "" is
// nothing.
type failure struct {
	actions          string
	native, catenary string
}

var failures = map[string]failure{
	"ReachChannel":  {"peek", `{"driver":true}`, `{"driver":false}`},
	"CensusChannel": {"count", `{"any":true}`, `{"any":false}`},
	"LoopChannel":   {"start stop", `{"stopped":true}`, `{"stopped":false}`},
	"AlarmChannel":  {"", `{"alarm":true}`, ""},
}

// TestAudit_SaysWhatCannotWork plays what audit calls impossible against Rails
// and against catenary, and what it calls possible beside them.
func TestAudit_SaysWhatCannotWork(t *testing.T) {
	t.Parallel()
	channels := auditOfLab(t)
	for _, channel := range channels {
		if _, ok := failures[channel.Name]; ok != (channel.Runs == "pass-through" || channel.Runs == "cannot work") {
			t.Errorf("audit says of %s: %s", channel.Name, channel.Runs)
		}
	}
	const siblings = `{"siblings":["{\"channel\":\"SiblingsChannel\"}","{\"channel\":\"EchoChannel\"}"]}`
	const all = `{"lock":"Thread::Mutex","greeting":"Proc","waiting":"Thread::Queue","paper":"StringIO","calls":"Concurrent::AtomicFixnum","seen":"Concurrent::Map","clerk":"Clerk","desk":"Desk","lists":"Array"}`
	const rest = `{"lock":"NilClass","greeting":"NilClass","waiting":"NilClass","paper":"NilClass","calls":"NilClass","seen":"Concurrent::Map","clerk":"NilClass","desk":"NilClass","lists":"NilClass"}`
	for _, server := range []struct {
		name     string
		world    *stage.World
		says     func(failure) string
		siblings string
		keepsake string
	}{
		{"rails", auditWorld(t, false), func(f failure) string { return f.native }, siblings, all},
		{"catenary", auditWorld(t, true), func(f failure) string { return f.catenary }, siblings, all},
		{"catenary, rebuilt at every command", auditWorld(t, true, "LAB_LIVE_LIMIT=0"), func(f failure) string { return f.catenary }, siblings, rest},
	} {
		t.Run(server.name, func(t *testing.T) {
			for channel, f := range failures {
				converses(t, server.world, channel, f.actions, server.says(f))
			}
			converses(t, server.world, "SiblingsChannel", "list", server.siblings, "EchoChannel")
			converses(t, server.world, "KeepsakeChannel", "show", server.keepsake)
		})
	}
}

// converses subscribes to a channel, and to others after it, performs
// actions and expects a message, or nothing.
func converses(t *testing.T, w *stage.World, channel, perform, message string, others ...string) {
	t.Helper()
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	identifier := encode(map[string]any{"channel": channel})
	await := func(part string) {
		t.Helper()
		for e, ok := stage.NextFrame(b); !strings.Contains(e.Text, part); e, ok = stage.NextFrame(b) {
			if !ok || e.Kind == "end" {
				t.Fatalf("%s: no %s", channel, part)
			}
		}
	}
	await("welcome") // as browsers do: Rails may lose what comes before
	for _, name := range append([]string{channel}, others...) {
		b.Send(encode(map[string]any{"command": "subscribe", "identifier": encode(map[string]any{"channel": name})}))
		await("confirm_subscription")
	}
	for _, action := range strings.Fields(perform) {
		b.Send(encode(map[string]any{"command": "message", "identifier": identifier, "data": encode(map[string]any{"action": action})}))
	}
	if message == "" { // a timer would have rung by then
		time.Sleep(time.Second)
		if err := b.CheckQuiet(); err != nil {
			t.Errorf("%s: %v, want nothing", channel, err)
		}
		return
	}
	if e, _ := stage.NextFrame(b); e.Text != `{"identifier":`+encode(identifier)+`,"message":`+message+`}` {
		t.Errorf("%s: got %s, want %s", channel, e, message)
	}
}

// An auditedChannel is what audit reports of a channel.
type auditedChannel struct {
	Name     string
	Runs     string
	Findings []struct{ Rule, Code string }
}

// What a channel can run as.
const (
	plain  = "plain"
	timers = "timers"
	live   = "live state"
	pinned = "pinned"
)

// laboratory is audited without the gem, and once in each format: every audit boots Rails.
var laboratory struct {
	asJSON, asText sync.Once
	channels       []auditedChannel
	text           string
}

func auditOfLab(t *testing.T) []auditedChannel {
	t.Helper()
	laboratory.asJSON.Do(func() {
		output, _, status := runAudit(t, "--json", stage.ProjectRoot+"/testdata/lab")
		report := struct{ Channels []auditedChannel }{}
		if err := json.Unmarshal([]byte(output), &report); err != nil || status != 1 {
			t.Fatalf("status %d, %v\n%s", status, err, output)
		}
		laboratory.channels = report.Channels
	})
	return laboratory.channels
}

func textOfLab(t *testing.T) string {
	t.Helper()
	laboratory.asText.Do(func() {
		var status int
		if laboratory.text, _, status = runAudit(t, stage.ProjectRoot+"/testdata/lab"); status != 1 {
			t.Fatalf("status %d\n%s", status, laboratory.text)
		}
	})
	return laboratory.text
}

// runAudit runs catenary audit on the Rails that the tests run against.
func runAudit(t *testing.T, arguments ...string) (output, messages string, status int) {
	t.Helper()
	return runAuditIn(t, nil, arguments...)
}

// runAuditIn runs it with more of an environment.
func runAuditIn(t *testing.T, env []string, arguments ...string) (output, messages string, status int) {
	t.Helper()
	binary, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	defer stage.BootTurn()()
	var out, said strings.Builder
	command := exec.Command(binary, append([]string{"audit"}, arguments...)...)
	command.Env = append(os.Environ(), stage.RailsEnv(false, env...)...)
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), said.String(), command.ProcessState.ExitCode()
}

// auditWorld is the laboratory, native or behind catenary.
func auditWorld(t *testing.T, behind bool, env ...string) *stage.World {
	t.Helper()
	w := &stage.World{}
	t.Cleanup(w.Close)
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	if w.App, err = stage.StartApp("lab", behind, append(env, "REDIS_URL="+w.Redis.URL())...); err != nil {
		t.Fatal(err)
	}
	w.Address = w.App.Address
	if behind {
		if w.Catenary, err = stage.StartCatenary(w.App); err != nil {
			t.Fatal(err)
		}
		w.Address = w.Catenary.Address
	}
	return w
}

func TestAudit_EndsWithAStatusThatScriptsCanUse(t *testing.T) {
	t.Parallel()
	broken := brokenApp(t, "def boot(n) = n == 0 ? raise('the database is on holiday') : boot(n - 1)\nboot 100")
	for _, c := range []struct {
		arguments []string
		status    int
		says      string
	}{
		{[]string{stage.ProjectRoot + "/testdata/rails"}, 0, "audit: 4 channels, 4 plain\n"},
		{[]string{stage.ProjectRoot + "/testdata/rails/app/channels"}, 0, "audit: 4 channels, 4 plain\n"},
		{[]string{"--json", stage.ProjectRoot + "/testdata/rails"}, 0, `"plain": 4`},
		{[]string{stage.ProjectRoot + "/nowhere"}, 2, "there is no " + stage.ProjectRoot + "/nowhere: name a Rails application's folder"},
		{[]string{stage.ProjectRoot + "/go.mod"}, 2, "is not a folder: name a Rails application's folder"},
		{[]string{stage.ProjectRoot + "/docs"}, 2, "has no bin/rails: name a Rails application's folder"},
		{[]string{broken}, 2, "bin/rails runner failed in " + broken},
		{[]string{broken}, 2, "the database is on holiday (RuntimeError)"},
		{[]string{broken}, 2, "Try there: bin/rails runner 'puts Rails.version'"},
		{[]string{brokenApp(t, "exit 0")}, 2, "bin/rails runner failed"},
	} {
		output, messages, status := runAudit(t, c.arguments...)
		if status != c.status || !strings.Contains(output+messages, c.says) {
			t.Errorf("%v: status %d, want %d and %s\n%s%s", c.arguments, status, c.status, c.says, output, messages)
		}
	}
	if text := textOfLab(t); !strings.Contains(text, "2 cannot work") { // with status 1
		t.Errorf("the laboratory: %s", text)
	}
}

// brokenApp has a bin/rails with this Ruby, and nothing else.
func brokenApp(t *testing.T, ruby string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(root+"/bin", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/bin/rails", []byte("#!/usr/bin/env ruby\n"+ruby+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

// TestAudit_NeedsNoDatabase has one that nobody answers for.
func TestAudit_NeedsNoDatabase(t *testing.T) {
	t.Parallel()
	env := []string{"LAB_DATABASE=true", "DATABASE_URL=postgresql://nobody@127.0.0.1:1/none"}
	want := textOfLab(t)
	if got, messages, _ := runAuditIn(t, env, stage.ProjectRoot+"/testdata/lab"); got != want {
		t.Errorf("got %s%s", got, messages)
	}
}

func TestAudit_NeedsRuby(t *testing.T) {
	t.Parallel()
	root := brokenApp(t, "")
	nothing := []string{"PATH=" + root}
	if _, messages, status := runAuditIn(t, nothing, root); status != 2 || !strings.Contains(messages, "Ruby must be on the PATH") {
		t.Errorf("status %d: %s", status, messages)
	}
	if err := os.Chmod(root+"/bin/rails", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, messages, status := runAuditIn(t, nothing, root); status != 2 || !strings.Contains(messages, "permission denied: is Ruby installed, and bin/rails executable?") {
		t.Errorf("status %d: %s", status, messages)
	}
}

// TestAudit_RunsAsTheGemsTask: the same report, with the gem.
func TestAudit_RunsAsTheGemsTask(t *testing.T) {
	t.Parallel()
	for format, begins := range map[string]string{"text": textOfLab(t), "json": "{\n"} {
		task := exec.Command(stage.ProjectRoot+"/testdata/lab/bin/rails", "catenary:audit")
		task.Env = append(os.Environ(), stage.RailsEnv(true, "FORMAT="+format)...)
		booted := stage.BootTurn()
		output, err := task.Output()
		booted()
		if task.ProcessState.ExitCode() != 1 || !strings.HasPrefix(string(output), begins) {
			t.Errorf("%s: %v\n%s", format, err, output)
		}
	}
}
