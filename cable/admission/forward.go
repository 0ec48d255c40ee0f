package admission

import (
	"net/http"
	"net/netip"
	"strings"
)

// Forward writes into the headers of a request that is passed on to the app whom
// it is passed on for, so that the app sees the addresses that it would see in
// our place. After a trusted proxy that has said it already, nothing is left to
// add: the app may not know that proxy. otherwise tells that we ask the app by
// another scheme than we were asked by.
func (p Proxies) Forward(header http.Header, peer string, otherwise bool, scheme string) {
	said := header.Values("X-Forwarded-For")
	address, err := netip.ParseAddr(peer)
	if peer != "" && !(len(said) > 0 && err == nil && p.trust(address.Unmap().WithZone(""))) {
		header.Set("X-Forwarded-For", strings.Join(append(said, peer), ", "))
	}
	if otherwise && !saysScheme(header) {
		header.Set("X-Forwarded-Proto", scheme)
	}
}

// saysScheme reports whether a proxy before us has said how the browser came.
func saysScheme(header http.Header) bool {
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "Forwarded"} {
		if header.Get(name) != "" {
			return true
		}
	}
	return false
}
