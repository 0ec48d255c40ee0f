package rails

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

// Templates parses the items of jwt.identify, which package config has checked.
func Templates(items []string) (all []token.Template) {
	for _, item := range items {
		all = append(all, token.ParseTemplate(item))
	}
	return all
}

// Identifying returns a function that applies the app's rules about origins to admission, each time
// the app reports its settings, or returns why catenary cannot identify connections. It is nil
// where jwt.identify is not set.
func Identifying(items []string, to *admission.Admission, log *slog.Logger) func(*rpc.Settings) error {
	if len(items) == 0 {
		return nil
	}
	var once sync.Once
	return func(s *rpc.Settings) error {
		if err := mayIdentify(Templates(items), s); err != nil {
			to.SetRules(nil)
			return err
		}
		origins, unread := admission.ParseRailsOrigins(s.AllowedRequestOrigins)
		if len(unread) > 0 {
			once.Do(func() {
				log.Warn("catenary cannot evaluate some of the app's allowed_request_origins, "+
					"which allow no origin where jwt.identify applies: write strings", "items", unread)
			})
		}
		to.SetRules(&admission.Rules{
			AnyOrigin: s.DisableRequestForgeryProtection, SameOrigin: s.AllowSameOriginAsHost, AssumeSSL: s.AssumeSSL, Origins: origins,
			ForwardedHost: s.ForwardedHost,
		})
		return nil
	}
}

// mayIdentify returns an error if the app does not let catenary set these identifiers.
func mayIdentify(all []token.Template, s *rpc.Settings) error {
	for _, template := range all {
		switch name := template.Identifier; {
		case !slices.Contains(s.Identifiers, name):
			return fmt.Errorf("jwt.identify: the app's connections are identified_by %s, not by %s: use only those",
				strings.Join(s.Identifiers, ", "), name)
		case !slices.Contains(s.Identify, name):
			return fmt.Errorf("jwt.identify: the app does not let catenary set %s: "+
				"write config.catenary.identify = %%i[%s] in config/application.rb", name, names(all))
		}
		app, record := template.App()
		// A Global ID of another app would not match in a remote disconnect.
		if record && s.GlobalIDApp != "" && app != s.GlobalIDApp {
			return fmt.Errorf("jwt.identify: %s names records of the app %q, but this app is %q: write gid://%s/…",
				template.Value, app, s.GlobalIDApp, s.GlobalIDApp)
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

var errRulesUnknown = errors.New("the app has not reported its rules about origins yet, which jwt.identify needs")
