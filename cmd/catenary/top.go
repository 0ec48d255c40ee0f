package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/top"
	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

const topHelp = `catenary top shows in the terminal how a running catenary is doing: browsers,
broadcasts, calls to Rails, the streams with the most traffic, why connections
ended. It is the status page, which its operations listener serves at /.

    catenary top                          # what operations.listen says, in the app's directory
    catenary top http://10.0.0.7:9394
    catenary top --once                   # one frame, for a script

q ends it.`

func topCommand(environ []string, stdout io.Writer) *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "top [URL]",
		Short: "show how a running catenary is doing",
		Long:  topHelp,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			at, err := operationsURL(args, config.Input{Environ: environ, Flags: c.Flags()})
			if err != nil {
				return err
			}
			o := top.Options{URL: at, In: c.InOrStdin(), Out: stdout, Plain: variable(environ, "NO_COLOR") != ""}
			if once {
				return top.Once(c.Context(), o)
			}
			return top.Run(c.Context(), o)
		},
	}
	config.RegisterFlags(c.Flags())
	c.Flags().BoolVar(&once, "once", false, "print one frame and end")
	return c
}

// operationsURL is the one that is named, or the configuration's.
func operationsURL(args []string, input config.Input) (string, error) {
	address := ""
	if len(args) > 0 {
		address = args[0]
	} else {
		cfg, err := load(input, false)
		if err != nil {
			return "", err
		}
		if address = cfg.Operations.Listen; address == "" {
			return "", errors.New("operations.listen is off, so there is nothing to ask: set it, or name another catenary's, catenary top http://host:9394")
		}
	}
	if !strings.Contains(address, "://") {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", fmt.Errorf("%q is no address of a catenary: write for example http://127.0.0.1:9394", address)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		address = "http://" + net.JoinHostPort(host, port)
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is no address of a catenary: write for example http://127.0.0.1:9394", address)
	}
	return address, nil
}
