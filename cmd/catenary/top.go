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

const topHelp = `catenary top shows a running catenary in the terminal: browsers, broadcasts,
calls to Rails, the streams with the most traffic, why connections closed. It
shows the same as the status page, at / of the operations listener.

    catenary top                          # in the app's directory: at its operations.listen
    catenary top http://10.0.0.7:9394
    catenary top --once                   # print once and exit, for scripts

Press q to quit.`

func topCommand(environ []string, stdout io.Writer) *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "top [URL]",
		Short: "show what a running catenary is doing",
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
	c.Flags().BoolVar(&once, "once", false, "print once and exit")
	return c
}

// operationsURL returns the URL of the arguments, or else the configuration's.
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
			return "", errors.New("operations.listen is off: set it, or give the URL of another catenary, " +
				"as in catenary top http://host:9394")
		}
	}
	if !strings.Contains(address, "://") {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return "", notAnAddress(address)
		}
		address = "http://" + onThisMachine(net.JoinHostPort(host, port))
	}
	if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", notAnAddress(address)
	}
	return address, nil
}

func notAnAddress(address string) error {
	return fmt.Errorf("%q is not the address of an operations listener: write for example http://127.0.0.1:9394",
		address)
}
