package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/rpc/rails"
	"github.com/spf13/cobra"
)

// errAudit is the end of an audit whose report says why.
var errAudit = errors.New("something in the application cannot work")

// auditCommand reports what a Rails application's channels will run as. It
// runs the gem's audit in the application, which need not have the gem.
func auditCommand(environ []string, stdout io.Writer) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "audit [path of a Rails app or its app/channels]",
		Short: "look at an app's channels and report what works, how, and what does not",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			report, err := audit(c.Context(), path, asJSON, environ)
			if err != nil {
				return &statusError{2, fmt.Errorf("audit: %w", err)}
			}
			if _, err := io.WriteString(stdout, report.Text); err != nil {
				return err
			}
			if report.Fails {
				return errAudit
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

// An auditReport is the last line that the audit prints, behind auditMark:
// the application may print others.
type auditReport struct {
	Text  string
	Fails bool
}

const auditMark = "catenary audit: "

// auditRun stands behind the audit's files.
// An exception of its own is cut before the object that it shows, which knows
// the application's secrets.
const auditRun = `
begin
  text, fails = Catenary::Rails::Audit.run(json: %t)
  $stdout.puts "", %q + JSON.generate("Text" => text, "Fails" => fails)
rescue StandardError, ScriptError => error
  abort "the audit failed: #{error.class}: #{Catenary::Rails::Audit::Finding.first_line(error)} (#{error.backtrace.first})"
end
`

// audit has bin/rails runner of the application at path run the audit.
func audit(ctx context.Context, path string, asJSON bool, environ []string) (*auditReport, error) {
	root, err := railsRoot(path)
	if err != nil {
		return nil, err
	}
	var output, messages bytes.Buffer
	runner := exec.CommandContext(ctx, "./bin/rails", "runner", "-")
	runner.Dir = root
	runner.Env = append(slices.Clone(environ), "DISABLE_SPRING=1")
	// A gem in the Gemfile has loaded some of these files already.
	runner.Stdin = strings.NewReader("$VERBOSE = nil\n" + rails.AuditScript() + fmt.Sprintf(auditRun, asJSON, auditMark))
	runner.Stdout, runner.Stderr = &output, &messages
	failed := runner.Run()

	var exit *exec.ExitError
	switch {
	case failed != nil && !errors.As(failed, &exit):
		return nil, fmt.Errorf("running bin/rails in %s: %w: is Ruby installed, and bin/rails executable?", root, failed)
	case exit != nil && exit.ExitCode() == 127:
		return nil, fmt.Errorf("running bin/rails in %s: %s: Ruby must be on the PATH", root, strings.TrimSpace(messages.String()))
	}
	for _, line := range slices.Backward(strings.Split(output.String(), "\n")) {
		text, found := strings.CutPrefix(line, auditMark)
		report := &auditReport{}
		if found && json.Unmarshal([]byte(text), report) == nil {
			return report, nil
		}
	}
	return nil, fmt.Errorf("bin/rails runner failed in %s (%v):\n\n%s\n\nThe audit needs an application that boots. Try there: bin/rails runner 'puts Rails.version'",
		root, failed, lastLines(backtrace.ReplaceAllString(messages.String()+output.String(), ""), 20))
}

// backtrace is what Ruby prints below the message of an exception.
var backtrace = regexp.MustCompile(`(?m)^\s+from .*\n?`)

// railsRoot returns the folder with the bin/rails of an application that is
// named by its root or by its app/channels.
func railsRoot(path string) (string, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", path, err)
	}
	info, err := os.Stat(root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no %s: name a Rails application's folder, or its app/channels", path)
	case err != nil:
		return "", fmt.Errorf("looking at the application: %w", err)
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a folder: name a Rails application's folder, or its app/channels", path)
	}
	root = strings.TrimSuffix(filepath.ToSlash(root), "/app/channels")
	if _, err := os.Stat(filepath.Join(root, "bin", "rails")); err != nil {
		return "", fmt.Errorf("%s has no bin/rails: name a Rails application's folder, or its app/channels", path)
	}
	return root, nil
}

// lastLines returns the last n lines of a text, indented, none of them long.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = line[:min(len(line), 300)]
	}
	return "    " + strings.Join(lines[max(0, len(lines)-n):], "\n    ")
}
