package admission

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the networks whose X-Forwarded-For counts for limits by address. Rails has its own
// trusted proxies and gets the headers of a handshake unchanged.
type Proxies []netip.Prefix

// ParseProxies parses networks ("10.0.0.0/8") and single addresses.
func ParseProxies(texts []string) (Proxies, error) {
	var proxies Proxies
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, addressErr := netip.ParseAddr(text); addressErr == nil {
			prefix = netip.PrefixFrom(address, address.BitLen())
			err = nil
		}
		if err != nil {
			return nil, fmt.Errorf("trusted_proxies: %q is neither an address nor a network: use for example 10.0.0.0/8", text)
		}
		proxies = append(proxies, prefix.Masked())
	}
	return proxies, nil
}

// client returns the browser's address: the last hop that is not a trusted proxy, or the zero Addr
// if there is none. An IPv6 address stands for its /64 network, since a browser may use all of it.
func (p Proxies) client(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := plain(peer.Addr())
	if !p.trust(address) {
		return network(address)
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		address, err := parseHop(strings.TrimSpace(hop))
		if err != nil {
			return netip.Addr{}
		}
		if !p.trust(address) {
			return network(address)
		}
	}
	return netip.Addr{}
}

// peer returns the address of a TCP connection's other end, or the zero Addr if that is a trusted
// proxy.
func (p Proxies) peer(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	address := plain(tcp.AddrPort().Addr())
	if p.trust(address) {
		return netip.Addr{}
	}
	return network(address)
}

// parseHop parses an address with or without a port.
func parseHop(hop string) (netip.Addr, error) {
	address, err := netip.ParseAddr(strings.Trim(hop, "[]"))
	if err != nil {
		var withPort netip.AddrPort
		withPort, err = netip.ParseAddrPort(hop)
		address = withPort.Addr()
	}
	return plain(address), err
}

// plain returns the address without a zone, and an IPv4 address not as an IPv6 address.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

func (p Proxies) trust(address netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(address) })
}

// network returns the address that limits are counted for.
func network(address netip.Addr) netip.Addr {
	if address.Is6() {
		prefix, _ := address.Prefix(64)
		return prefix.Addr()
	}
	return address
}
