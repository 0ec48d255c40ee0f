package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commandGroups are the headings of the list of commands.
var commandGroups = []*cobra.Group{
	{ID: "trouble", Title: "When something is wrong:"},
	{ID: "operate", Title: "While it runs:"},
	{ID: "before", Title: "Before it runs:"},
}

// grouped puts commands into a group.
func grouped(id string, commands ...*cobra.Command) []*cobra.Command {
	for _, c := range commands {
		c.GroupID = id
	}
	return commands
}

// usage writes a command's usage, with flags by topic. Of the more than eighty settings, which many
// commands take, only the server's own help lists all.
func usage(c *cobra.Command) error {
	to := c.OutOrStderr()
	fmt.Fprintf(to, "Usage:\n  %s\n", c.UseLine())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(to, "  %s [command]\n", c.CommandPath())
	}
	for _, group := range c.Groups() {
		listCommands(to, c, group.ID, group.Title)
	}
	others := "Commands:"
	if len(c.Groups()) > 0 {
		others = "Other commands:"
	}
	listCommands(to, c, "", others)
	own, settings := config.FlagSections(c.LocalFlags())
	listFlags(to, "Flags", own)
	if c.HasParent() {
		if c.Flags().Lookup("backend-url") != nil {
			fmt.Fprintln(to, "\nSettings:\n  the same flags as the server: see catenary --help")
		}
		return nil
	}
	for _, section := range settings {
		listFlags(to, section.Title, section.Flags)
	}
	fmt.Fprintln(to, "\nEach setting is also a key of config/catenary.yml and an environment variable: "+
		"see docs/configuration.md.")
	return nil
}

func listCommands(to io.Writer, of *cobra.Command, group, title string) {
	for _, c := range of.Commands() {
		if c.GroupID != group || !c.IsAvailableCommand() {
			continue
		}
		if title != "" {
			fmt.Fprintf(to, "\n%s\n", title)
			title = ""
		}
		fmt.Fprintf(to, "  %s%s %s\n", c.Name(), strings.Repeat(" ", max(0, c.NamePadding()-len(c.Name()))), c.Short)
	}
}

func listFlags(to io.Writer, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		fmt.Fprintf(to, "\n%s:\n%s", title, flags.FlagUsagesWrapped(120))
	}
}

// unknownCommand suggests the command that was probably meant.
func unknownCommand(root *cobra.Command, name string) error {
	root.SuggestionsMinimumDistance = 2
	if near := root.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %q?", name, strings.Join(near, `" or "`))
	}
	return fmt.Errorf("unknown command %q: catenary --help lists them; "+
		"write -- before a command that starts Rails", name)
}

// unknownFlag suggests the flag that was probably meant.
func unknownFlag(c *cobra.Command, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	if now := config.RenamedFlag(name); now != "" {
		return fmt.Errorf("--%s is now --%s", name, now)
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	near := config.Nearest(name, known)
	if near == "" {
		return fmt.Errorf("%w: %s --help lists them", err, c.CommandPath())
	}
	return fmt.Errorf("%w: did you mean --%s?", err, near)
}
