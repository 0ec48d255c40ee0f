package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/doctor"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/spf13/cobra"
)

const doctorHelp = `catenary doctor looks for what keeps a browser from hearing broadcasts: it
reads the configuration as "catenary" would, asks Rails and Redis, and then
visits the cable as a browser does. Run it where catenary runs, with the same
environment and flags. The address is the one that browsers use, through all
proxies; without it, catenary's own.

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
			e.header.Set("Origin", origin)
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

func (e *examination) run(ctx context.Context) {
	cfg, err := load(e.input, false)
	if err == nil && !cfg.PassesAll() {
		err = cfg.RequireSecret()
	}
	if err != nil {
		e.found("configuration", err, "")
		return
	}
	e.cfg = cfg
	e.found("configuration", nil, fmt.Sprintf("environment %s, secret from %s", cfg.Environment, cfg.Backend.Secret.Source()))
	for _, warning := range cfg.Warnings {
		e.tell(doctor.Finding{Step: "configuration", Verdict: doctor.Doubt, Text: warning})
	}
	settings := e.rails(ctx)
	e.broadcasts(ctx, settings, cfg.Unread)
	e.catenary(ctx)
	e.visit(ctx)
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
	e.found("transport", nil, "calls go over links: "+met(probe.Processes))
}

// met says which processes have answered. An attempt meets one behind each
// address, whichever takes it; catenary looks for the others when it runs.
func met(processes []rpc.ProbedProcess) string {
	var each []string
	for _, p := range processes {
		name := "process " + p.ID
		if p.Index >= 0 && p.Count > 0 {
			name += fmt.Sprintf(" (Puma's worker %d, one of %d)", p.Index, p.Count)
		}
		each = append(each, fmt.Sprintf("%s runs %d commands at once", name, p.Workers))
	}
	return strings.Join(each, ", ")
}

// catenary asks the one that runs whether it is ready.
func (e *examination) catenary(ctx context.Context) {
	if e.cfg.Operations.Listen == "" {
		e.tell(doctor.Finding{Step: "catenary", Verdict: doctor.Skipped, Text: "operations.listen is off"})
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ready := e.operations() + "/ready"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, ready, nil)
	if err != nil {
		e.found("catenary", err, "")
		return
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.tell(doctor.Finding{Step: "catenary", Verdict: doctor.Bad, Text: fmt.Sprintf("nothing answers at operations.listen, %s: start catenary", e.cfg.Operations.Listen)})
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if response.StatusCode != http.StatusOK {
		err = errors.New(strings.TrimSpace(string(body)))
	}
	e.found("catenary", err, "it runs, and is ready")
}

func (e *examination) operations() string { return "http://" + onThisMachine(e.cfg.Operations.Listen) }

func (e *examination) visit(ctx context.Context) {
	if e.url == nil {
		e.url = &url.URL{Scheme: "ws", Host: onThisMachine(e.cfg.Listen), Path: e.cfg.Paths[0]}
		if e.cfg.TLS.Certificate != "" {
			e.url.Scheme = "wss"
		}
	}
	if e.header.Get("Origin") == "" {
		e.header.Set("Origin", strings.Replace(e.url.Scheme, "ws", "http", 1)+"://"+e.url.Host)
	}
	v := doctor.Visit{URL: e.url, Header: e.header}
	if e.cfg.Operations.Listen != "" {
		v.Counts = doctor.HandshakeCounts(e.operations())
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
