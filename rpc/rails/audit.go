// Package rails has the gem's Ruby that catenary needs without the gem: the audit.
package rails

import (
	"embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed lib/catenary/rails/audit.rb lib/catenary/rails/audit/*.rb
//go:embed lib/catenary/rails/channel_streams.rb lib/catenary/rails/turbo_streams.rb
var files embed.FS

// required is a line of audit.rb that loads another file of the gem.
var required = regexp.MustCompile(`(?m)^require "(catenary/.+)"\n`)

// AuditScript returns the audit as one Ruby program, in which the files that audit.rb requires stand
// before it in that order. It defines Catenary::Rails::Audit and runs nothing.
func AuditScript() string {
	audit := text("catenary/rails/audit")
	var script strings.Builder
	for _, line := range required.FindAllStringSubmatch(audit, -1) {
		script.WriteString(text(line[1]))
	}
	script.WriteString(required.ReplaceAllString(audit, ""))
	return script.String()
}

func text(feature string) string {
	content, err := files.ReadFile("lib/" + feature + ".rb")
	if err != nil {
		panic(fmt.Sprintf("audit.rb requires what is not embedded: %v", err))
	}
	return string(content)
}
