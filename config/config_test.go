package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/erb"
	"github.com/catenary-cable/catenary/config/yml"
	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const fixtures = "../testdata/config"

// app makes a directory with some files, as an application's root.
func app(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func production(extra ...string) []string {
	return append([]string{"RAILS_ENV=production", "REDIS_URL=redis://redis.test:6379/2", "SECRET_KEY_BASE=sss"}, extra...)
}

func mustLoad(t *testing.T, in Input) *Config {
	t.Helper()
	c, err := Load(in)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

func parseFlags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("catenary", pflag.ContinueOnError)
	RegisterFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

// printed are the effective values by key, as catenary config writes them.
func printed(t *testing.T, c *Config) map[string]string {
	t.Helper()
	out, err := c.Redacted()
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(out), &document); err != nil {
		t.Fatalf("what is printed is not YAML: %v\n%s", err, out)
	}
	values := map[string]string{}
	var walk func(string, *yaml.Node)
	walk = func(prefix string, n *yaml.Node) {
		if n.Kind == yaml.MappingNode {
			for i := 0; i < len(n.Content); i += 2 {
				walk(strings.TrimPrefix(prefix+"."+n.Content[i].Value, "."), n.Content[i+1])
			}
			return
		}
		n.LineComment = ""
		text, err := yaml.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		values[prefix] = strings.TrimSpace(string(text))
	}
	walk("", document.Content[0])
	return values
}

// fileOf is the path in an application of a fixture, by its name.
func fileOf(fixture string) string {
	if strings.HasPrefix(filepath.Base(fixture), "cable_") {
		return cableFile
	}
	return catenaryFile
}

func eachFixture(t *testing.T, folder, suffix string, check func(t *testing.T, root, expected string)) {
	names, err := filepath.Glob(filepath.Join(fixtures, folder, "*.yml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".yml"), func(t *testing.T) {
			source, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			expected, err := os.ReadFile(strings.TrimSuffix(name, ".yml") + suffix)
			if err != nil {
				t.Fatal(err)
			}
			check(t, app(t, map[string]string{fileOf(name): string(source)}), strings.TrimSpace(string(expected)))
		})
	}
}

func TestLoad_NamesThePlaceOfEachMistakeAndWhatToDo(t *testing.T) {
	eachFixture(t, "bad", ".message", func(t *testing.T, root, expected string) {
		c, err := Load(Input{Root: root, Environ: production()})
		if err == nil {
			err = c.Unread
		}
		if err == nil || err.Error() != expected {
			t.Errorf("error\n  %v\nwant\n  %s", err, expected)
		}
	})
}

func TestLoad_ReadsTheFilesThatApplicationsHave(t *testing.T) {
	eachFixture(t, "good", ".values", func(t *testing.T, root, expected string) {
		values := printed(t, mustLoad(t, Input{Root: root, Environ: production()}))
		for line := range strings.Lines(expected) {
			key, want, _ := strings.Cut(strings.TrimSpace(line), " ")
			if values[key] != want {
				t.Errorf("%s is %s, want %s", key, values[key], want)
			}
		}
	})
}

func TestLoad_NeedsNoFileAtAll(t *testing.T) {
	c := mustLoad(t, Input{Root: t.TempDir()})
	if c.Environment != "development" || c.Listen != "127.0.0.1:8080" || c.Broadcasts.Redis.URL != "redis://localhost:6379/0" || c.Broadcasts.ChannelPrefix != nil {
		t.Errorf("wrong defaults:\n%s", c)
	}
	if c.Limits.MessageBytes != 1<<20 || c.Backend.Concurrency != 2 || c.Ping.Interval.Seconds() != 3 {
		t.Errorf("wrong defaults:\n%s", c)
	}
}

func TestLoad_LaterLayersOverrideEarlierOnes(t *testing.T) {
	files := map[string]string{cableFile: "production:\n  adapter: redis\n  channel_prefix: from_cable\n"}
	in := Input{Environ: production()}
	check := func(want string, origin string) {
		t.Helper()
		in.Root = app(t, files)
		c := mustLoad(t, in)
		if c.Broadcasts.ChannelPrefix == nil || *c.Broadcasts.ChannelPrefix != want {
			t.Errorf("prefix %v, want %s", c.Broadcasts.ChannelPrefix, want)
		}
		if !strings.Contains(c.String(), fmt.Sprintf("channel_prefix: %s # %s\n", want, origin)) {
			t.Errorf("origin %s is missing in\n%s", origin, c)
		}
	}
	check("from_cable", "config/cable.yml:3")
	files[catenaryFile] = "production:\n  broadcasts:\n    channel_prefix: from_catenary\n"
	check("from_catenary", "config/catenary.yml:3")
	in.Environ = production("CATENARY_BROADCASTS_CHANNEL_PREFIX=from_env")
	check("from_env", "CATENARY_BROADCASTS_CHANNEL_PREFIX")
	in.Flags = parseFlags(t, "--broadcasts-channel-prefix=from_flag")
	check("from_flag", "--broadcasts-channel-prefix")
}

func TestLoad_UsesWhatRailsReportsInPlaceOfCableYML(t *testing.T) {
	root := app(t, map[string]string{cableFile: "production:\n  url: <%= Settings.url %>\n"})
	if unread := mustLoad(t, Input{Root: root, Environ: production()}).Unread; unread == nil || !strings.HasPrefix(unread.Error(), cableFile+":2: ") {
		t.Fatalf("Unread for an expression that needs Ruby: %v", unread)
	}
	c := mustLoad(t, Input{Root: root, Environ: production(), RailsPaths: []string{"/websocket"}, RailsThreads: 10, FromRails: map[string]any{
		"adapter": "redis", "url": "redis://told:6379/0", "channel_prefix": "", "timeout": 1.5, "custom": nil,
		"ssl_params": map[string]any{"verify_mode": float64(0)}, "sentinels": []any{map[string]any{"host": "s", "port": float64(1)}},
	}})
	if r := c.Broadcasts.Redis; r.MasterName != "told" || r.Sentinels[0] != (Sentinel{Host: "s", Port: 1}) || r.SSLParams.VerifyMode != "none" {
		t.Errorf("got %#v", c.Broadcasts.Redis.Sentinels)
	}
	if *c.Broadcasts.ChannelPrefix != "" || c.Paths[0] != "/websocket" || c.Backend.Concurrency != 9 || c.FixesConcurrency() {
		t.Errorf("got\n%s", c)
	}
	chosen := production("CATENARY_BACKEND_CONCURRENCY=3")
	if c := mustLoad(t, Input{Root: root, Environ: chosen, RailsThreads: 10, FromRails: map[string]any{"adapter": "redis"}}); c.Backend.Concurrency != 3 || !c.FixesConcurrency() {
		t.Errorf("chosen, got\n%s", c)
	}
	if _, err := Load(Input{Root: root, Environ: production(), FromRails: map[string]any{"adapter": "any_cable"}}); err == nil || !strings.HasPrefix(err.Error(), "the gem's settings: adapter: any_cable") {
		t.Errorf("any_cable reported by the gem: %v", err)
	}
}

func TestLoad_NeedNotReadWhatAnotherLayerSets(t *testing.T) {
	for name, c := range map[string]struct{ cable, catenary, unread string }{
		"an expression, and its key":     {"url: <%= Settings.url %>", "redis: {url: 'redis://ours'}", ""},
		"an expression, and another":     {"url: <%= Settings.url %>", "channel_prefix: ours", "cable.yml:2: cannot evaluate"},
		"a password beside the url":      {"password: <%= Settings.password %>", "redis: {url: 'redis://ours'}", ""},
		"TLS beside the url":             {"ssl: <%= Settings.ssl %>", "redis: {url: 'redis://ours'}", "cable.yml:2: cannot evaluate"},
		"a prefix":                       {"channel_prefix: 1.10", "redis: {url: 'redis://ours'}", "cable.yml:2: channel_prefix: Ruby may read"},
		"no YAML at all":                 {"url: [", "channel_prefix: ours", "invalid YAML"},
		"no YAML at all, and all is set": {"url: [", "channel_prefix: ours\n    redis: {url: 'redis://ours'}", ""},
		"an adapter":                     {"adapter: <%= Settings.adapter %>", "adapter: rails", ""},
		"another adapter's url":          {"url: postgres://h/db\n  adapter: enhanced_postgresql", "redis: {connect_timeout: 1s}", ""},
	} {
		root := app(t, map[string]string{cableFile: "production:\n  " + c.cable + "\n", catenaryFile: "production:\n  broadcasts:\n    " + c.catenary + "\n"})
		loaded, err := Load(Input{Root: root, Environ: []string{"RAILS_ENV=production"}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if unread := fmt.Sprint(loaded.Unread); c.unread == "" && loaded.Unread != nil || !strings.Contains(unread, c.unread) {
			t.Errorf("%s: %s", name, unread)
		}
	}
	root := app(t, map[string]string{cableFile: "production:\n  adapter: any_cable\n  url: postgres://h/db\n"})
	if c := mustLoad(t, Input{Root: root, Environ: production(), Flags: parseFlags(t, "--pass-through=all")}); c.Unread != nil {
		t.Errorf("with pass_through: all: %v", c.Unread)
	}
}

func TestLoad_KeepsTheThreeStatesOfTheChannelPrefix(t *testing.T) {
	text := "p"
	empty := ""
	for yml, want := range map[string]*string{
		"adapter: redis": nil, "channel_prefix:": nil, "channel_prefix: ''": &empty, "channel_prefix: p": &text,
		`channel_prefix: <%= ENV["NONE"] %>`: nil, `channel_prefix: "<%= ENV["NONE"] %>"`: &empty,
	} {
		c := mustLoad(t, Input{Root: app(t, map[string]string{cableFile: "production:\n  " + yml + "\n"}), Environ: production()})
		got := c.Broadcasts.ChannelPrefix
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%s: got %v, want %v", yml, got, want)
		}
	}
	c := mustLoad(t, Input{Environ: production(), Root: app(t, map[string]string{
		cableFile: "production:\n  channel_prefix: p\n", catenaryFile: "production:\n  broadcasts:\n    channel_prefix: null\n"})})
	if c.Broadcasts.ChannelPrefix != nil {
		t.Errorf("null in catenary.yml does not take the prefix away: %q", *c.Broadcasts.ChannelPrefix)
	}
}

func TestLoad_HasRailsForwardBroadcastsThatOnlyRailsReceives(t *testing.T) {
	for _, adapter := range []string{"async", "inline", "test", "postgresql", "solid_cable", "their_own"} {
		root := app(t, map[string]string{cableFile: "development:\n  adapter: " + adapter + "\n"})
		c := mustLoad(t, Input{Root: root})
		if c.Broadcasts.Adapter != "rails" || len(c.Warnings) != 0 || !strings.Contains(c.String(), "config/cable.yml:2 (adapter: "+adapter+")") {
			t.Errorf("%s: adapter %s, warnings %q\n%s", adapter, c.Broadcasts.Adapter, c.Warnings, c)
		}
		_, err := Load(Input{Root: root, Environ: []string{"CATENARY_BACKEND_TRANSPORT=post"}})
		if unheard := new(adapterError); !errors.As(err, &unheard) || unheard.adapter != adapter || !strings.Contains(err.Error(), "backend.transport: auto") {
			t.Errorf("%s over POST: %v", adapter, err)
		}
	}
	root := app(t, map[string]string{cableFile: "development:\n  adapter: redis\n"})
	if c := mustLoad(t, Input{Root: root, Environ: []string{"CATENARY_BROADCASTS_ADAPTER=rails"}}); c.Broadcasts.Adapter != "rails" {
		t.Errorf("adapter %s", c.Broadcasts.Adapter)
	}
	if _, err := Load(Input{Root: root, Environ: []string{"CATENARY_BROADCASTS_ADAPTER=rails", "CATENARY_BACKEND_TRANSPORT=post"}}); err == nil || !strings.Contains(err.Error(), "CATENARY_BROADCASTS_ADAPTER: broadcasts.adapter: rails needs a link") {
		t.Errorf("over POST: %v", err)
	}
}

func TestLoad_WarnsAboutAnAdapterThatPublishesElsewhere(t *testing.T) {
	root := app(t, map[string]string{cableFile: "development:\n  adapter: async\n"})
	c := mustLoad(t, Input{Root: root, Environ: []string{"CATENARY_BROADCASTS_ADAPTER=redis"}})
	if c.Broadcasts.Adapter != "redis" || len(c.Warnings) != 1 {
		t.Errorf("adapter %s, warnings %q", c.Broadcasts.Adapter, c.Warnings)
	}
}

func TestLoad_WarnsThatAnEmptySecretVerifiesNoToken(t *testing.T) {
	c := mustLoad(t, Input{Root: t.TempDir(), Environ: []string{"CATENARY_JWT_SECRET="}})
	if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "CATENARY_JWT_SECRET is empty") || c.JWT.Given() {
		t.Errorf("%q", c.Warnings)
	}
}

func TestLoad_ReadsVariablesOfRailsAndPlatforms(t *testing.T) {
	c := mustLoad(t, Input{Root: t.TempDir(), Environ: []string{
		"RACK_ENV=staging", "PORT=5000", "RAILS_MAX_THREADS=5", "WEB_CONCURRENCY=2", "RAILS_LOG_LEVEL=fatal", "SECRET_KEY_BASE=sss", "CATENARY_PROXY="}})
	if c.Environment != "staging" || c.Listen != ":5000" || c.Backend.Concurrency != 9 || c.Log.Level != "error" || c.Backend.Secret.Reveal() != "sss" {
		t.Errorf("got\n%s", c)
	}
	for variable, message := range map[string]string{
		"CATENARY_BACKEND_ULR=x":   "unknown variable CATENARY_BACKEND_ULR: did you mean CATENARY_BACKEND_URL?",
		"CATENARY_PING_INTERVAL=x": `the variable CATENARY_PING_INTERVAL: "x" is not a duration: write for example 500ms, 30s or 5m`,
		"RAILS_MAX_THREADS=many":   `the variable RAILS_MAX_THREADS: "many" is not a whole number: write digits only`,
		"CATENARY_ROOT=/nowhere":   `CATENARY_ROOT: root: "/nowhere" is not a directory: name the one that has config/ in it`,
		"CATENARY_PATHS=cable":     `CATENARY_PATHS: paths: "cable" must begin with a slash: write "/cable"`,
		"PORT=http":                `the variable PORT: "http" is not an address: write for example :8080 or 127.0.0.1:8080`,
	} {
		if _, err := Load(Input{Root: t.TempDir(), Environ: []string{variable}}); err == nil || err.Error() != message {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestLoad_IgnoresVariablesOfAServiceNamedCatenary(t *testing.T) {
	c := mustLoad(t, Input{Root: t.TempDir(), Environ: []string{
		"CATENARY_SERVICE_HOST=10.0.0.1", "CATENARY_SERVICE_PORT_HTTP=80", "CATENARY_PORT=tcp://10.0.0.1:80", "CATENARY_PORT_80_TCP_ADDR=10.0.0.1"}})
	if c.Listen != "127.0.0.1:8080" {
		t.Errorf("listens on %s", c.Listen)
	}
}

func TestLoad_DoesNotMixTwoRedisServers(t *testing.T) {
	root := app(t, map[string]string{cableFile: "production:\n  host: old\n  port: 1\n  db: 7\n  password: theirs\n"})
	c := mustLoad(t, Input{Root: root, Environ: production("CATENARY_BROADCASTS_REDIS_URL=redis://new:2")})
	if r := c.Broadcasts.Redis; r.Host != "new" || r.Port != 2 || r.DB != 0 || r.Password != "" {
		t.Errorf("got %s with %q", r, r.Password)
	}
}

func TestRedis_URLCanBeGivenToGoRedis(t *testing.T) {
	for _, given := range []string{"redis://localhost", "redis:///1", "redis://[::1]:7/2", "redis://u:p%40s@h:6380/1?timeout=1", "rediss://:p@h", "unix:/a/b.sock", "unix:///a/b.sock?db=3", "redis://h/"} {
		c := mustLoad(t, Input{Root: t.TempDir(), Environ: []string{"REDIS_URL=" + given}})
		options, err := redis.ParseURL(c.Broadcasts.Redis.URL)
		if err != nil {
			t.Errorf("%s became %s: %v", given, c.Broadcasts.Redis.URL, err)
			continue
		}
		if r := c.Broadcasts.Redis; options.DB != r.DB || options.Password != r.Password || options.Username != r.Username {
			t.Errorf("%s: fields and URL differ: %+v", given, r)
		}
	}
}

func TestLoad_ShowsNoSecretInAnyMessage(t *testing.T) {
	const secret = "Hunter2TopSecret"
	spots := map[string]Input{
		"secret":      {Environ: production("CATENARY_SECRET=" + secret)},
		"key base":    {Environ: []string{"RAILS_ENV=production", "SECRET_KEY_BASE=" + secret}},
		"redis url":   {Environ: production("CATENARY_BROADCASTS_REDIS_URL=redis://u:" + secret + "@h?password=" + secret)},
		"REDIS_URL":   {Environ: []string{"REDIS_URL=redis://u:" + secret + "@h"}},
		"bad URL":     {Environ: []string{"REDIS_URL=redis://u:%zz" + secret + "@h"}},
		"bad scheme":  {Environ: []string{"REDIS_URL=http://u:" + secret + "@h"}},
		"bad our URL": {Environ: []string{"CATENARY_BROADCASTS_REDIS_URL=redis//u:" + secret + "@h:x"}},
		"backend":     {Environ: []string{"CATENARY_BACKEND_URL=http://u:" + secret + "@h"}},
		"bad backend": {Environ: []string{"CATENARY_BACKEND_URL=ftp://u:" + secret + "@h"}},
		"password":    {FromRails: map[string]any{"password": secret, "username": "u"}},
		"gem's url":   {FromRails: map[string]any{"url": "valkey://u:" + secret + "@h"}},
		"sentinels": {FromRails: map[string]any{"url": "redis://m", "sentinel_password": secret,
			"sentinels": []any{map[string]any{"host": "h", "password": secret}}}},
		"list":         {FromRails: map[string]any{"url": []any{secret}}},
		"Ruby":         {Environ: production(), Root: app(t, map[string]string{cableFile: `production: {url: "<%= ENV.fetch('X', '` + secret + `').strip %>"}`})},
		"Ruby, open":   {Environ: production(), Root: app(t, map[string]string{cableFile: `production: {url: <%= foo '` + secret + ` %>}`})},
		"literal":      {Environ: production(), Root: app(t, map[string]string{cableFile: "production:\n  url: bad://u:" + secret + "@h\n"})},
		"not YAML":     {Environ: production(), Root: app(t, map[string]string{cableFile: "production:\n  password: '" + secret + "\n url: x\n"})},
		"variable":     {Environ: production("CATENARY_SECRIT=" + secret)},
		"tmp":          {Root: app(t, map[string]string{"tmp/local_secret.txt": secret})},
		"catenary.yml": {Environ: production(), Root: app(t, map[string]string{catenaryFile: "production:\n  backend:\n    secret: " + secret + "\n"})},
	}
	for name, in := range spots {
		if in.Root == "" {
			in.Root = t.TempDir()
		}
		c, err := Load(in)
		said := fmt.Sprint(err)
		if c != nil {
			said += fmt.Sprintf("%v %+v %#v %v %+v %#v %v %q %v", c, c, c.Broadcasts.Redis, c.Backend, c.Broadcasts, c.Backend.Secret, c.RequireSecret(), c.Warnings, c.Broadcasts.Redis.Sentinels)
		}
		if strings.Contains(said, secret) {
			t.Errorf("%s: the secret is in\n%s", name, said)
		}
	}
}

func TestSample_HasEveryKeyAndItsDefault(t *testing.T) {
	sample, err := os.ReadFile(filepath.Join(fixtures, "catenary.sample.yml"))
	if err != nil {
		t.Fatal(err)
	}
	plain := printed(t, mustLoad(t, Input{Root: app(t, map[string]string{catenaryFile: string(sample)}), Environ: production()}))
	without := printed(t, mustLoad(t, Input{Root: t.TempDir(), Environ: production()}))
	for key, value := range without {
		if key != "root" && plain[key] != value {
			t.Errorf("the sample changes %s from %s to %s", key, value, plain[key])
		}
	}
	// "#key: value" is a key that is set aside; "# words" is a comment
	var all strings.Builder
	for line := range strings.Lines(string(sample)) {
		if trimmed := strings.TrimLeft(line, " "); len(trimmed) > 1 && trimmed[0] == '#' && trimmed[1] != ' ' {
			line = strings.Repeat(" ", len(line)-len(trimmed)) + trimmed[1:]
		}
		all.WriteString(line)
	}
	s, err := yml.Read(catenaryFile, all.String(), "production", erb.Evaluator{Environment: "production"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, all.String())
	}
	mustLoad(t, Input{Root: app(t, map[string]string{catenaryFile: all.String()}), Environ: production()})
	for _, setting := range settings() {
		if !setting.outside && !slices.ContainsFunc(s.Entries, func(e yml.Entry) bool {
			return e.Key == setting.key || setting.kind == identities && strings.HasPrefix(e.Key, setting.key+".")
		}) {
			t.Errorf("the sample has no %s", setting.key)
		}
	}
}

func TestLoad_FitsTheDrainIntoTheGrace(t *testing.T) {
	for _, c := range [][3]string{{"25s", "0s", "15s"}, {"10s", "0s", "6s"}, {"10s", "5s", "3s"}, {"5m", "0s", "15s"}, {"0s", "0s", "0s"}} {
		cfg := mustLoad(t, Input{Root: t.TempDir(), Environ: production("CATENARY_SHUTDOWN_GRACE="+c[0], "CATENARY_SHUTDOWN_DELAY="+c[1])})
		if cfg.Shutdown.Drain.String() != c[2] {
			t.Errorf("of a grace of %s with a delay of %s, %v are for the drain", c[0], c[1], cfg.Shutdown.Drain)
		}
	}
}

// "rails server" does the same.
func TestListen_InDevelopmentIsLoopbackUnlessAnAddressIsGiven(t *testing.T) {
	for _, c := range []struct {
		environ []string
		flags   []string
		want    string
	}{
		{nil, nil, "127.0.0.1:8080"},
		{[]string{"PORT=3000"}, nil, "127.0.0.1:3000"},
		{[]string{"PORT=3000", "BINDING=0.0.0.0"}, nil, "0.0.0.0:3000"},
		{[]string{"CATENARY_LISTEN=:3000"}, nil, ":3000"},
		{nil, []string{"--listen", ":3000"}, ":3000"},
		{[]string{"PORT=10.0.0.1:3000"}, nil, "10.0.0.1:3000"},
		{[]string{"PORT=3000", "RAILS_ENV=production", "REDIS_URL=redis://redis.test"}, nil, ":3000"},
	} {
		got := mustLoad(t, Input{Root: app(t, nil), Environ: append(c.environ, "SECRET_KEY_BASE=sss"), Flags: parseFlags(t, c.flags...)}).Listen
		if got != c.want {
			t.Errorf("%v %v: %s, want %s", c.environ, c.flags, got, c.want)
		}
	}
}
