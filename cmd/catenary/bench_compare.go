package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/bench"
	"github.com/spf13/cobra"
)

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
