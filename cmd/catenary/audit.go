package main

import (
	"errors"
	"io"

	"github.com/catenary-cable/catenary/cmd/catenary/audit"
	"github.com/spf13/cobra"
)

// errAudit has been said already, as the report.
var errAudit = errors.New("something in the application cannot work")

// auditCommand says what a Rails application's channels will run as.
func auditCommand(stdout io.Writer) *cobra.Command {
	asJSON := false
	c := &cobra.Command{
		Use:   "audit [path of a Rails app or its app/channels]",
		Short: "read an app's channels and say what works, how, and what does not",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			path := "."
			if len(args) == 1 {
				path = args[0]
			}
			report, err := audit.Run(path)
			if err != nil {
				return &statusError{2, err}
			}
			write := report.Text
			if asJSON {
				write = report.JSON
			}
			if err := write(stdout); err != nil {
				return err
			}
			if report.Fails() {
				return errAudit
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}
