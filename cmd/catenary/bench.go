package main

import (
	"fmt"
	"io"
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
