package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			revision, golang := built()
			if revision != "" {
				revision = ", revision " + revision
			}
			_, err := fmt.Fprintf(stdout, "catenary %s (%s, %s/%s%s)\n",
				version, golang, runtime.GOOS, runtime.GOARCH, revision)
			return err
		},
	}
}

// built returns the revision and the version of Go of this build.
func built() (revision, golang string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", runtime.Version()
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			revision = setting.Value
		}
	}
	return revision, info.GoVersion
}
