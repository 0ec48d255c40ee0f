package main

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config"
)

func TestWelcome_PrintsTheAddressToOpen(t *testing.T) {
	for want, cfg := range map[string]config.Config{
		"Open http://localhost:8080\n":                         {Listen: ":8080", Proxy: true},
		"Open http://localhost:3000\n":                         {Listen: "127.0.0.1:3000", Proxy: true},
		"Open http://10.0.0.7:3000\n":                          {Listen: "10.0.0.7:3000", Proxy: true},
		"Open https://localhost:3000\n":                        {Listen: "[::]:3000", Proxy: true, TLS: config.TLS{Certificate: "cert.pem"}},
		"Ready for browsers at ws://localhost:8080/realtime\n": {Listen: ":8080", Paths: []string{"/realtime"}},
		"Status: http://localhost:9394\n":                      {Listen: ":8080", Proxy: true, Operations: config.Operations{Listen: "127.0.0.1:9394", Status: true}},
	} {
		if text := welcomeText(&cfg); !strings.Contains(text, want) {
			t.Errorf("%q is missing in: %s", want, text)
		}
	}
}
