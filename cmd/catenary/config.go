package main

import (
	"io"

	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

// configCommand prints the configuration that the server would use.
func configCommand(environ []string, stdout io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "print the configuration and where each value comes from, without secrets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := config.Load(config.Input{Environ: environ, Flags: c.Flags()})
			if err != nil {
				return err
			}
			text, err := cfg.Redacted()
			if err != nil {
				return err
			}
			if cfg.Unread != nil {
				text = "# catenary will ask Rails where broadcasts are published: " + cfg.Unread.Error() + "\n" + text
			}
			_, err = io.WriteString(stdout, text)
			return err
		},
	}
	config.RegisterFlags(c.Flags())
	return c
}
