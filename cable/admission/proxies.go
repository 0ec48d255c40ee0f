package admission

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For is believed when browsers are
// counted by address. What Rails is told of a handshake does not depend on
// them: it has trusted proxies of its own.
type Proxies []netip.Prefix

// ParseProxies reads networks ("10.0.0.0/8") and single addresses.
func ParseProxies(texts []string) (Proxies, error) {
	var proxies Proxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, wrong := netip.ParseAddr(text); wrong == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network: write for example 10.0.0.0/8", text)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

// client returns the browser's address: the last one on the way to us that is
// no proxy. If there is none it is the zero address. Of IPv6 the network
// counts, since a single browser may use all of its addresses.
func (p Proxies) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	hops := append(strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ","), peer.Addr().String())
	for _, hop := range slices.Backward(hops) {
		address, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}
		}
		if !p.trust(address) {
			return counted(address)
		}
	}
	return netip.Addr{}
}

// peer is who is at the other end of a TCP connection; the zero address if it is
// a proxy.
func (p Proxies) peer(remote net.Addr) netip.Addr {
	address, err := parseHop(remote.String())
	if err != nil || p.trust(address) {
		return netip.Addr{}
	}
	return counted(address)
}

// parseHop reads an address that may have a port.
func parseHop(hop string) (netip.Addr, error) {
	address, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(hop)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone(""), err
}

func (p Proxies) trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(address) })
}

func counted(address netip.Addr) netip.Addr {
	if address.Is6() {
		network, _ := address.Prefix(64)
		return network.Addr()
	}
	return address
}
