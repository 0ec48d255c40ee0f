package main

import (
	"io"

	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

// version can be set by the build, with -ldflags "-X main.version=…".
var version = "0.1.0"

const help = `catenary takes over the WebSocket side of a Rails app.

It speaks Action Cable's protocol to browsers, runs the app's own channels in
Rails (gem catenary-rails), and receives broadcasts where Rails publishes them.
Start it in the app's directory, beside Puma:

    catenary

or let it start Puma and serve everything on one port:

    catenary -- bin/rails server`

func rootCommand(environ []string, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:           "catenary [flags] [-- command that starts Rails]",
		Short:         "the WebSocket server beside a Rails app",
		Long:          help,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 && c.ArgsLenAtDash() != 0 {
				return unknownCommand(c, args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return serve(c.Context(), config.Input{Environ: environ, Flags: c.Flags()}, args, environ, stderr)
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	config.RegisterFlags(root.Flags())
	root.SetUsageFunc(usage)
	root.SetFlagErrorFunc(unknownFlag)
	root.AddGroup(commandGroups...)
	root.AddCommand(grouped("trouble", doctorCommand(environ, stdout), configCommand(environ, stdout))...)
	root.AddCommand(grouped("operate", topCommand(environ, stdout), disconnectCommand(environ, stdout))...)
	root.AddCommand(grouped("before", auditCommand(environ, stdout), benchCommand(stdout, stderr))...)
	root.AddCommand(versionCommand(stdout))
	return root
}
