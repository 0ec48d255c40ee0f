package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/spf13/cobra"
)

const doctorHelp = `catenary doctor looks for what keeps a browser from hearing broadcasts: it
asks the catenary that runs on this machine, or Rails and Redis if there is
none, and then visits the cable as a browser does. Run it where catenary runs,
with the same environment. The address is the one that browsers use, through all
proxies; without it, catenary's own, asked as the proxy before it would.

    catenary doctor
    catenary doctor wss://example.com/cable --cookie "_app_session=…"

It ends with status 1 if something is broken.`

// errDoctor has been said already, as findings.
var errDoctor = errors.New("something is broken, see FAIL above")

func doctorCommand(environ []string, stdout io.Writer) *cobra.Command {
	var origin, cookie string
	c := &cobra.Command{
		Use:   "doctor [URL]",
		Short: "find out why browsers do not hear broadcasts",
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
			if e.run(c.Context()); e.broken {
				return errDoctor
			}
			return nil
		},
	}
	config.RegisterFlags(c.Flags())
	c.Flags().StringVar(&origin, "origin", "", "where the page comes from that connects; by default the cable's own host")
	c.Flags().StringVar(&cookie, "cookie", "", "cookies of a signed-in browser, as in its Cookie header")
	return c
}

// examination goes from the configuration to the browser. A step that fails
// ends only what depends on it.
type examination struct {
	input  config.Input
	url    *url.URL // nil: catenary's own address
	header http.Header
	out    io.Writer

	cfg    *config.Config
	other  bool // what runs is another app's
	broken bool
}

func (e *examination) tell(f doctor.Finding) {
	e.broken = e.broken || f.Verdict == doctor.Bad
	f.Write(e.out)
}

func (e *examination) found(step string, err error, good string) bool {
	if err != nil {
		e.tell(doctor.Finding{Step: step, Verdict: doctor.Bad, Text: err.Error()})
		return false
	}
	e.tell(doctor.Finding{Step: step, Verdict: doctor.Good, Text: good})
	return true
}

// run asks the catenary that runs, whose word counts. Only where there is none it
// looks for itself, with what it is configured with.
func (e *examination) run(ctx context.Context) {
	cfg, err := load(e.input, false)
	if err != nil {
		e.found("configuration", err, "")
		return
	}
	e.cfg = cfg
	running := e.catenary(ctx)
	if running != nil {
		e.found("configuration", nil, fmt.Sprintf("environment %s, secret from %s", running.Environment, running.Secret))
	} else if err := cfg.RequireSecret(); err != nil && !cfg.PassesAll() {
		e.found("configuration", err, "")
		return
	} else {
		e.found("configuration", nil, fmt.Sprintf("environment %s, secret from %s", cfg.Environment, cfg.Backend.Secret.Source()))
	}
	for _, warning := range cfg.Warnings {
		e.tell(doctor.Finding{Step: "configuration", Verdict: doctor.Doubt, Text: warning})
	}
	if running != nil {
		for _, f := range running.Findings() {
			e.tell(f)
		}
		e.visit(ctx, running)
		return
	}
	settings := e.rails(ctx)
	e.broadcasts(ctx, settings, cfg.Unread)
	e.visit(ctx, &doctor.Running{Listen: cfg.Listen, Paths: cfg.Paths, TLS: cfg.TLS.Certificate != "", Origins: cfg.AllowedRequestOrigins, Rails: settings})
}

// rails asks the app what it is; nil if it does not say.
func (e *examination) rails(ctx context.Context) *rpc.Settings {
	if probe := probeOf(e.cfg); probe != nil {
		e.found("Rails", probe(ctx), "the app at "+e.cfg.Backend.URL+" answers; everything is passed through to it")
		return nil
	}
	backend, err := newBackend(e.cfg, nil, nil, nil)
	if err != nil {
		e.found("Rails", err, "")
		return nil
	}
	defer backend.Close()
	began := time.Now()
	settings, err := backend.Settings(askedWait)
	if err != nil {
		e.found("Rails", advised(err, e.cfg), "")
		return nil
	}
	e.found("Rails", nil, fmt.Sprintf("%s at %s answers in %v", versions(settings), e.cfg.Backend.URL, time.Since(began).Round(100*time.Microsecond)))
	e.transport(ctx, backend)
	if settings.Environment != "" && settings.Environment != e.cfg.Environment {
		e.tell(doctor.Finding{Step: "Rails", Verdict: doctor.Bad, Text: fmt.Sprintf("it runs in %s, catenary in %s: start both with the same RAILS_ENV", settings.Environment, e.cfg.Environment)})
	}
	return settings
}

// versions are those of Rails and the gem, which another backend may not have.
func versions(settings *rpc.Settings) string {
	if settings.Gem == "" {
		return "the backend"
	}
	return settings.Rails + " with the gem " + settings.Gem
}

// transport tries once what catenary does when it starts: to open a link.
func (e *examination) transport(ctx context.Context, backend *rpc.Client) {
	probe, err := backend.Probe(ctx)
	if err != nil {
		e.found("transport", advised(err, e.cfg), "")
		return
	}
	if probe.Transport == rpc.Post {
		f := doctor.Finding{Step: "transport", Verdict: doctor.Doubt, Text: "calls go by POST: " + probe.Reason + "; docs/differences.md says what is lost"}
		if e.cfg.Backend.Transport == rpc.Post {
			f.Verdict, f.Text = doctor.Good, "calls go by POST, as backend.transport says"
		}
		e.tell(f)
		return
	}
	var met []doctor.Process
	for _, p := range probe.Processes { // behind each address one, whichever takes it
		met = append(met, doctor.Process(p))
	}
	e.found("transport", nil, "calls go over links: "+doctor.Met(met))
}

// catenary asks the one that runs what it is; nil if there is none for this app.
func (e *examination) catenary(ctx context.Context) *doctor.Running {
	if e.cfg.Operations.Listen == "" {
		e.tell(doctor.Finding{Step: "catenary", Verdict: doctor.Skipped, Text: "operations.listen is off"})
		return nil
	}
	running, err := runningHere(ctx, e.cfg)
	if err != nil {
		e.found("catenary", err, "")
		e.other = errors.Is(err, errOtherApp)
		return nil
	}
	return running
}

var errOtherApp = errors.New("give each app its own operations.listen")

// runningHere asks the catenary that runs for this app.
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
		return nil, fmt.Errorf("the one at operations.listen, %s, serves another app, in %s: %w", cfg.Operations.Listen, running.Root, errOtherApp)
	}
	return running, nil
}

// hasConfig tells whether a folder is an app's.
func hasConfig(root string) bool {
	_, err := os.Stat(filepath.Join(root, "config"))
	return err == nil
}

func operationsOf(cfg *config.Config) string { return "http://" + onThisMachine(cfg.Operations.Listen) }

// visit comes as a browser does, to the catenary that runs unless another
// address was named.
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
	if e.cfg.Operations.Listen != "" && !e.other {
		v.Counts = doctor.HandshakeCounts(operationsOf(e.cfg))
	}
	v.Make(ctx, e.tell)
}

// onThisMachine is an address to reach a listener at.
func onThisMachine(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return listen
}
