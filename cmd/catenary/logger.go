package main

import (
	"io"
	"log/slog"

	"github.com/catenary-cable/catenary/config"
)

func newLogger(cfg config.Log, to io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(cfg.Level)) // package config has checked it
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		options.ReplaceAttr = readableDuration
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// readableDuration writes durations as 25s, not as 25000000000.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
