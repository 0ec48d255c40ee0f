package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/rpc"
)

func templates(items []string) (all []token.Template) {
	for _, item := range items {
		all = append(all, token.ParseTemplate(item))
	}
	return all
}

// identifying has admission obey the app's rules about handshakes, as often as
// the app tells them, or says why it can identify nobody. It is nil if
// connections are not identified here.
func identifying(items []string, to *admission.Admission, log *slog.Logger) func(*rpc.Settings) error {
	if len(items) == 0 {
		return nil
	}
	var once sync.Once
	return func(s *rpc.Settings) error {
		if err := mayIdentify(templates(items), s); err != nil {
			to.SetRules(nil)
			return err
		}
		origins, unread := admission.ParseRailsOrigins(s.AllowedRequestOrigins)
		if len(unread) > 0 {
			once.Do(func() {
				log.Warn("the app's allowed_request_origins has what catenary cannot read: nobody whom it identifies comes in by it; write texts", "items", unread)
			})
		}
		to.SetRules(&admission.Rules{
			AnyOrigin: s.DisableRequestForgeryProtection, SameOrigin: s.AllowSameOriginAsHost, AssumeSSL: s.AssumeSSL, Origins: origins,
			ForwardedHost: s.ForwardedHost,
		})
		return nil
	}
}

// mayIdentify checks that the app lets catenary do it.
func mayIdentify(all []token.Template, s *rpc.Settings) error {
	for _, template := range all {
		switch name := template.Identifier; {
		case !slices.Contains(s.Identifiers, name):
			return fmt.Errorf("jwt.identify: the app's connections are identified_by %s, and not by %s: name only those", strings.Join(s.Identifiers, ", "), name)
		case !slices.Contains(s.Identify, name):
			return fmt.Errorf("jwt.identify: the app does not let catenary set %s: write config.catenary.identify = %%i[%s] in config/application.rb", name, names(all))
		}
		app, record := template.App()
		if record && s.GlobalIDApp != "" && app != s.GlobalIDApp { // else a remote disconnect would miss who has only connected
			return fmt.Errorf("jwt.identify: %s names records of the app %q, and this app's are of %q: write gid://%s/…", template.Value, app, s.GlobalIDApp, s.GlobalIDApp)
		}
	}
	return nil
}

func names(all []token.Template) string {
	var names []string
	for _, template := range all {
		names = append(names, template.Identifier)
	}
	return strings.Join(names, " ")
}

var errRulesUnknown = errors.New("the app has not yet told its rules about origins, which jwt.identify needs")
