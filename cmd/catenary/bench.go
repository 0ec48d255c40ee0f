package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/bench"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const benchHelp = `catenary bench measures a server that speaks Action Cable: catenary or Rails
itself. The app needs this channel:

    class BenchChannel < ApplicationCable::Channel
      def subscribed; stream_from params[:stream]; end
      def echo(data); transmit data; end
      def broadcast(data); ActionCable.server.broadcast params[:stream], data; end
    end

"catenary bench URL" measures everything, "catenary bench fanout URL" one
scenario. It broadcasts through the channel's action, which measures Rails too,
or with --redis-url directly to Redis. With --pid it also measures memory and
CPU of the server's processes and their children.

    catenary bench ws://localhost:3000/cable --pid $(cat tmp/pids/server.pid)
    catenary bench fanout wss://staging.example/cable --connections 1000 --rate 20

Measure only your own servers, and not in production.`

// benchCommand measures a server from the outside.
func benchCommand(stdout, stderr io.Writer) *cobra.Command {
	var o bench.Options
	var asJSON bool
	measure := func(scenarios ...string) func(*cobra.Command, []string) error {
		return func(c *cobra.Command, args []string) error {
			o.URL, o.Scenarios = args[0], scenarios
			report, err := bench.Run(c.Context(), o, bench.NewProgress(stderr))
			if err != nil {
				return err
			}
			if asJSON {
				return report.WriteJSON(stdout)
			}
			if err := report.WriteTable(stdout); err != nil || !onTerminal(stdout) {
				return err
			}
			return report.WritePlots(stdout)
		}
	}
	root := &cobra.Command{
		Use:   "bench URL",
		Short: "measure an Action Cable server: catenary or Rails itself",
		Long:  benchHelp,
		Args:  oneURL,
		RunE: func(c *cobra.Command, args []string) error {
			all := bench.Scenarios()
			if len(o.Processes) == 0 {
				all = all[1:] // without idle: there is little to measure without a process
			}
			return measure(all...)(c, args)
		},
	}
	scenarios := map[string]string{
		"idle":   "memory and CPU of idle connections",
		"fanout": "broadcasts to all subscribers: latency, deliveries per second",
		"echo":   "actions that transmit their data back: round trips",
		"storm":  "all clients connect and subscribe at once",
	}
	for name, short := range scenarios {
		root.AddCommand(&cobra.Command{Use: name + " URL", Short: short, Args: oneURL, RunE: measure(name)})
	}
	for _, command := range append(root.Commands(), root) {
		registerBenchFlags(command.Flags(), &o)
		command.Flags().BoolVar(&asJSON, "json", false, "print JSON, on one line, instead of a table")
	}
	root.AddCommand(compareCommand(stdout))
	return root
}

func oneURL(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("the URL of a server is missing, as in: %s ws://localhost:3000/cable", c.CommandPath())
	}
	return nil
}

func registerBenchFlags(f *pflag.FlagSet, o *bench.Options) {
	f.StringVar(&o.Identifier, "identifier", `{"channel":"BenchChannel","stream":"{stream}"}`,
		"the subscription; {stream} and {i}, the client's number, are replaced")
	f.StringVar(&o.Origin, "origin", "", "the clients' Origin (default the server's own)")
	f.StringArrayVar(&o.Header, "header", nil, "a header of the handshake, 'Name: value'; {i} is replaced")
	f.StringVar(&o.Cookie, "cookie", "", "the cookies of the handshake; {i} is replaced")
	f.IntVarP(&o.Connections, "connections", "n", 500, "number of clients")
	f.IntVar(&o.Streams, "streams", 1, "number of streams to spread them over")
	f.IntVarP(&o.Messages, "messages", "m", 200, "number of messages to send")
	f.IntVar(&o.Size, "size", 150, "size of a message in bytes")
	f.Float64Var(&o.Rate, "rate", 0, "messages per second; 0 sends the next one when one has arrived everywhere")
	f.IntVar(&o.InFlight, "in-flight", 1, "messages in flight at once, without --rate")
	f.StringVar(&o.Data, "data", `{"bench":"{payload}"}`, "a message, if the channel expects a certain form")
	f.IntVar(&o.AtOnce, "at-once", 50, "connections to open at the same time, except in storm")
	f.StringVar(&o.RedisURL, "redis-url", "", "publish to this Redis, as Rails does, instead of through an action")
	f.StringVar(&o.RedisChannel, "redis-channel", "{stream}",
		"the channel in Redis, with the app's channel_prefix, as in app_production:{stream}")
	f.StringVar(&o.BroadcastAction, "broadcast-action", "broadcast", "the action that broadcasts its data")
	f.StringVar(&o.Action, "action", "echo", "the action that transmits its data back")
	f.StringArrayVar(&o.Processes, "pid", nil,
		"a process of the server on this machine, 123 or puma=123; may be repeated")
	f.DurationVar(&o.Hold, "hold", 10*time.Second, "how long to watch idle connections, twice in a row")
	f.DurationVar(&o.Settle, "settle", time.Second, "pause between opening and measuring")
	f.DurationVar(&o.Timeout, "timeout", 30*time.Second, "how long to wait for a connection to be confirmed")
	f.DurationVar(&o.Patience, "patience", 5*time.Second, "how long to wait for a missing delivery")
}

// compareCommand compares the figures of two servers.
func compareCommand(stdout io.Writer) *cobra.Command {
	var chart, page, note string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compare NAME=FILE NAME=FILE",
		Short: "compare two servers, from files of --json output",
		Long: `Each file contains the output of "catenary bench --json" for one server, of any
number of runs. The medians of the second server are compared to those of the
first.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			comparison, err := readComparison(args)
			if err != nil {
				return err
			}
			if err := writeFile(chart, comparison.WriteChart); err != nil {
				return err
			}
			if err := writeFile(page, func(to io.Writer) error {
				return comparison.WriteMarkdown(to, note, relativePath(page, chart))
			}); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(stdout).Encode(comparison)
			}
			return comparison.WriteTable(stdout)
		},
	}
	c.Flags().StringVar(&chart, "svg", "", "also write a chart to this file")
	c.Flags().StringVar(&page, "markdown", "", "also write a page to this file")
	c.Flags().StringVar(&note, "note", "", "a note on the page about what was measured")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON instead of a table")
	return c
}

func readComparison(args []string) (*bench.Comparison, error) {
	var names [2]string
	var reports [2][]bench.Report
	for side, arg := range args {
		name, path, found := strings.Cut(arg, "=")
		if !found {
			return nil, fmt.Errorf("%q is not of the form NAME=FILE", arg)
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		names[side] = name
		if reports[side], err = bench.ReadReports(file); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return bench.Compare(names, reports), nil
}

// writeFile does nothing if path is empty.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// relativePath returns the chart's path as seen from the page.
func relativePath(page, chart string) string {
	relative, err := filepath.Rel(filepath.Dir(page), chart)
	if chart == "" || err != nil {
		return chart
	}
	return filepath.ToSlash(relative)
}
