package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/cmd/catenary/rails"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/spf13/cobra"
)

const doctorHelp = `catenary doctor finds out why browsers receive no broadcasts. It asks the
catenary that runs on this machine or, if none runs, Rails and Redis. Then it
connects to the cable as a browser does. Run it on the machine of catenary, with
the same environment. URL is the address that browsers use, through all proxies.
Without it the doctor connects to catenary itself, as a proxy would.

    catenary doctor
    catenary doctor wss://example.com/cable --cookie "_app_session=…"

It exits with status 1 if something is broken.`

// errDoctor is the exit error. Findings have named the causes already.
var errDoctor = errors.New("something is broken: see FAIL above")

func doctorCommand(environ []string, stdout io.Writer) *cobra.Command {
	var origin, cookie string
	c := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "find out why browsers receive no broadcasts",
		Long:  doctorHelp,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			e := &examination{input: config.Input{Environ: environ, Flags: c.Flags()}, out: stdout}
			if len(args) == 1 {
				u, err := doctor.ParseURL(args[0])
				if err != nil {
					return err
				}
				e.url = u
			}
			e.header = http.Header{}
			if cookie != "" {
				e.header.Set("Cookie", cookie)
			}
			if origin != "" {
				e.header.Set("Origin", origin)
			}
			e.run(c.Context())
			if e.broken {
				return errDoctor
			}
			return nil
		},
	}
	config.RegisterFlags(c.Flags())
	c.Flags().StringVar(&origin, "origin", "", "origin of the page that connects; by default the cable's own host")
	c.Flags().StringVar(&cookie, "cookie", "", "Cookie header of a signed-in browser")
	return c
}

// examination is one run of the doctor, from the configuration to the browser. If a step fails,
// only the steps that depend on it are left out.
type examination struct {
	input  config.Input
	url    *url.URL // nil: catenary's own address
	header http.Header
	out    io.Writer

	cfg      *config.Config
	otherApp bool // the catenary that runs serves another app
	broken   bool
}

func (e *examination) report(f doctor.Finding) {
	e.broken = e.broken || f.Verdict == doctor.Bad
	f.Write(e.out)
}

// reportStep reports a failed step if there is an error, else a good one.
func (e *examination) reportStep(step string, err error, good string) {
	f := doctor.Finding{Step: step, Verdict: doctor.Good, Text: good}
	if err != nil {
		f.Verdict, f.Text = doctor.Bad, err.Error()
	}
	e.report(f)
}

// run asks the catenary that runs, if there is one. Otherwise it examines Rails and Redis itself,
// with the configuration that a catenary would have.
func (e *examination) run(ctx context.Context) {
	cfg, err := load(e.input, false)
	if err != nil {
		e.reportStep("configuration", err, "")
		return
	}
	e.cfg = cfg
	running := e.catenary(ctx)
	environment, secret := cfg.Environment, cfg.Backend.Secret.Source()
	if running != nil {
		environment, secret = running.Environment, running.Secret
	} else if err := cfg.RequireSecret(); err != nil && !cfg.PassesAll() {
		e.reportStep("configuration", err, "")
		return
	}
	e.reportStep("configuration", nil, fmt.Sprintf("environment %s, secret from %s", environment, secret))
	for _, warning := range cfg.Warnings {
		e.report(doctor.Finding{Step: "configuration", Verdict: doctor.Doubt, Text: warning})
	}
	if running != nil {
		for _, f := range running.Findings() {
			e.report(f)
		}
		e.visit(ctx, running)
		return
	}
	settings := e.rails(ctx)
	e.broadcasts(ctx, settings, cfg.Unread)
	e.visit(ctx, &doctor.Running{
		Listen: cfg.Listen, Paths: cfg.Paths, TLS: cfg.TLS.Certificate != "", Origins: cfg.AllowedRequestOrigins, Rails: settings,
	})
}

// rails asks the app for its settings. It returns nil if it gets none.
func (e *examination) rails(ctx context.Context) *rpc.Settings {
	if probe := rails.ProbeOf(e.cfg); probe != nil {
		e.reportStep("Rails", probe(ctx), "the app at "+e.cfg.Backend.URL+" answers; everything is passed through to it")
		return nil
	}
	backend, err := newBackend(e.cfg, nil, nil, nil)
	if err != nil {
		e.reportStep("Rails", err, "")
		return nil
	}
	defer backend.Close()
	began := time.Now()
	settings, err := backend.Settings(rails.SettingsTimeout)
	if err != nil {
		e.reportStep("Rails", rails.Advised(err, e.cfg), "")
		return nil
	}
	took := time.Since(began).Round(100 * time.Microsecond)
	e.reportStep("Rails", nil, fmt.Sprintf("%s at %s answers in %v", versions(settings), e.cfg.Backend.URL, took))
	e.transport(ctx, backend)
	if settings.Environment != "" && settings.Environment != e.cfg.Environment {
		text := fmt.Sprintf("it runs in %s, catenary in %s: start both with the same RAILS_ENV", settings.Environment, e.cfg.Environment)
		e.report(doctor.Finding{Step: "Rails", Verdict: doctor.Bad, Text: text})
	}
	return settings
}

// versions are those of Rails and the gem. A backend other than Rails has none.
func versions(settings *rpc.Settings) string {
	if settings.Gem == "" {
		return "the backend"
	}
	return settings.Rails + " with the gem " + settings.Gem
}

// transport tries once to open a link, as catenary does when it starts.
func (e *examination) transport(ctx context.Context, backend *rpc.Client) {
	probe, err := backend.Probe(ctx)
	if err != nil {
		e.reportStep("transport", rails.Advised(err, e.cfg), "")
		return
	}
	if probe.Transport == rpc.Post {
		text := "calls go by POST: " + probe.Reason + "; docs/differences.md lists what does not work then"
		f := doctor.Finding{Step: "transport", Verdict: doctor.Doubt, Text: text}
		if e.cfg.Backend.Transport == rpc.Post {
			f.Verdict, f.Text = doctor.Good, "calls go by POST, as backend.transport says"
		}
		e.report(f)
		return
	}
	var linked []doctor.Process
	for _, p := range probe.Processes { // one for each address, of all the processes behind it
		linked = append(linked, doctor.Process(p))
	}
	e.reportStep("transport", nil, "calls go over links: "+doctor.Linked(linked))
}

// catenary asks the catenary that runs for this app about itself. It returns nil if there is none.
func (e *examination) catenary(ctx context.Context) *doctor.Running {
	if e.cfg.Operations.Listen == "" {
		e.report(doctor.Finding{Step: "catenary", Verdict: doctor.Skipped, Text: "operations.listen is off"})
		return nil
	}
	running, err := runningHere(ctx, e.cfg)
	if err != nil {
		e.reportStep("catenary", err, "")
		e.otherApp = errors.Is(err, errOtherApp)
		return nil
	}
	return running
}

var errOtherApp = errors.New("give each app its own operations.listen")

// runningHere asks the catenary at operations.listen about itself. It is an error if that serves
// another app.
func runningHere(ctx context.Context, cfg *config.Config) (*doctor.Running, error) {
	running, err := doctor.Ask(ctx, operationsOf(cfg))
	switch {
	case errors.Is(err, doctor.ErrNoCatenary):
		return nil, fmt.Errorf("operations.listen, %s: %w", cfg.Operations.Listen, err)
	case err != nil:
		return nil, fmt.Errorf("nothing answers at operations.listen, %s: start catenary", cfg.Operations.Listen)
	}
	root, err := filepath.Abs(cfg.Root)
	if err == nil && root != running.Root && hasConfig(root) {
		return nil, fmt.Errorf("the catenary at operations.listen, %s, serves another app, in %s: %w", cfg.Operations.Listen, running.Root, errOtherApp)
	}
	return running, nil
}

// hasConfig reports whether a directory looks like an app's.
func hasConfig(root string) bool {
	_, err := os.Stat(filepath.Join(root, "config"))
	return err == nil
}

func operationsOf(cfg *config.Config) string { return "http://" + onThisMachine(cfg.Operations.Listen) }

// visit connects as a browser does, to the URL of the command line or else to the running catenary.
func (e *examination) visit(ctx context.Context, running *doctor.Running) {
	own := e.url == nil
	if own {
		e.url = &url.URL{Scheme: "ws", Host: onThisMachine(running.Listen), Path: running.Paths[0]}
		if running.TLS {
			e.url.Scheme = "wss"
		}
	}
	v := doctor.Visit{URL: e.url, Header: e.header, OwnCertificate: own}
	v.Note = v.Prepare(running.Rails, running.Origins, own)
	if e.cfg.Operations.Listen != "" && !e.otherApp {
		v.Counts = doctor.HandshakeCounts(operationsOf(e.cfg))
	}
	v.Make(ctx, e.report)
}

// onThisMachine returns an address at which a listener can be reached from this machine.
func onThisMachine(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}

// broadcasts compares where Rails publishes with where catenary subscribes, and broadcasts a
// message of its own there. settings are nil if Rails has reported none. unread is the value of
// config/cable.yml that only Rails can report.
func (e *examination) broadcasts(ctx context.Context, settings *rpc.Settings, unread error) {
	if e.cfg.PassesAll() {
		return
	}
	cfg := e.cfg
	switch {
	case settings != nil && settings.Cable != nil:
		var err error
		if cfg, err = rails.Completed(e.input, e.cfg, settings); err != nil {
			e.reportStep("broadcasts", err, "")
			return
		}
		if f := rails.Misdirected(cfg, settings); f.Text != "" {
			e.report(f)
		}
	case unread != nil:
		e.report(doctor.Finding{Step: "broadcasts", Verdict: doctor.Skipped, Text: "only Rails can report where they are published: " + unread.Error()})
		return
	}
	ours := cfg.Broadcasts
	if ours.Adapter == "rails" {
		e.report(doctor.Finding{Step: "broadcasts", Verdict: doctor.Good, Text: "Rails forwards its broadcasts to the running catenary"})
		return
	}
	source, err := broadcasts.New(ours, nil, &broadcasts.Gaps{}, slog.New(slog.DiscardHandler))
	if err == nil {
		err = doctor.RoundTrip(ctx, source)
	}
	e.reportStep("broadcasts", err, rails.DescribeSource(ours))
}
