package admission

import (
	"net/http"
	"net/netip"
	"strings"
)

// Forward adds X-Forwarded-For and X-Forwarded-Proto to a request that catenary passes on to the
// app, so that the app sees the same addresses and scheme as without catenary. changesScheme means
// that the scheme of backend.url is not the request's.
//
// A trusted proxy that has set X-Forwarded-For is not added itself, since the app may not know it.
func (p Proxies) Forward(header http.Header, peer string, changesScheme bool, scheme string) {
	forwarded := header.Values("X-Forwarded-For")
	address, err := netip.ParseAddr(peer)
	byTrustedProxy := len(forwarded) > 0 && err == nil && p.trust(address.Unmap().WithZone(""))
	if peer != "" && !byTrustedProxy {
		header.Set("X-Forwarded-For", strings.Join(append(forwarded, peer), ", "))
	}
	if changesScheme && !hasScheme(header) {
		header.Set("X-Forwarded-Proto", scheme)
	}
}

// hasScheme reports whether a proxy has set the browser's scheme.
func hasScheme(header http.Header) bool {
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "Forwarded"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}
