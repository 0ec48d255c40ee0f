package doctor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// explain names the cause of a handshake that failed.
func (v Visit) explain(err error, response *http.Response, outcome string) string {
	if response == nil {
		return v.address() + " cannot be reached: " + explainDial(err)
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
	answer := v.address() + " answers " + response.Status
	switch status := response.StatusCode; {
	case outcome == "no_upgrade":
		return answer + ": the handshake reached catenary without Connection: Upgrade. A proxy on the way drops it: " +
			"for nginx, set proxy_http_version 1.1 and the headers Upgrade and Connection (README, The proxy)"
	case outcome == "origin":
		return answer + ": allowed_request_origins of catenary does not have " + v.Header.Get("Origin")
	case outcome == rejectedByRails:
		return answer + ": the app rejects it: " + v.explainRails(response, string(body))
	case outcome != "" && outcome != notCounted:
		return answer + ": catenary rejects it, reason " + outcome + " (docs/metrics.md, Why handshakes are rejected)"
	case status >= 300 && status < 400:
		return answer + " to " + clip(response.Header.Get("Location")) + ": if that is https, have the proxy send X-Forwarded-Proto: https, so that the app knows of TLS"
	case status == http.StatusNotFound && strings.Contains(string(body), "Page not found"):
		return answer + ": Action Cable rejects it. Either the origin " + v.Header.Get("Origin") + " is not allowed, or a proxy on the way drops Connection: Upgrade"
	case status == http.StatusNotFound:
		return answer + ": no server knows this path. Compare it with Rails' config.action_cable.mount_path and with your proxy"
	case status == http.StatusOK || status == http.StatusBadRequest || status == http.StatusUpgradeRequired:
		return answer + " instead of opening a WebSocket. A proxy on the way drops Connection: Upgrade, or sends this path to another server"
	case status >= 500:
		return answer + ": the proxy has no working server behind it. Is catenary running, and ready?"
	}
	return answer + ": the app, or a proxy on the way, rejects it"
}

// explainRails names the reason for which the app has rejected a handshake that catenary passed on.
func (v Visit) explainRails(response *http.Response, body string) string {
	switch status := response.StatusCode; {
	case status == http.StatusNotFound && strings.Contains(body, "Page not found"):
		return "its log has \"Request origin not allowed\": " + v.adviseOrigin()
	case status == http.StatusNotFound:
		return "it does not know this path: compare it with config.action_cable.mount_path, and with paths of catenary"
	case status >= 300 && status < 400 && strings.HasPrefix(response.Header.Get("Location"), "https:"):
		return "it has config.force_ssl, and takes the connection for plain http: have the proxy send X-Forwarded-Proto: https, or set config.assume_ssl"
	case status == http.StatusForbidden:
		return "if its log names a blocked host, " + v.host() + " is not in config.hosts: add it, or have the proxy pass on Host as the browser sends it"
	}
	return "its middleware has answered: look into its log"
}

func (v Visit) host() string {
	if host := v.Header.Get("Host"); host != "" {
		return host
	}
	return v.URL.Host
}

// adviseOrigin says how to make the app accept the page's origin. The app accepts its own host by
// default, if the proxy passes on which host that is.
func (v Visit) adviseOrigin() string {
	origin := v.Header.Get("Origin")
	add := "add " + origin + " to config.action_cable.allowed_request_origins"
	if u, err := url.Parse(origin); err == nil && u.Host == v.URL.Host {
		return "the proxy must pass on Host and X-Forwarded-Proto as they came (README, The proxy), or " + add
	}
	return add
}

// explainDial names the reason why there was no answer at all.
func explainDial(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return "unknown host name: " + dns.Name
	case errors.As(err, &certificate):
		return "browsers will not trust its certificate: " + certificate.Err.Error()
	case errors.As(err, &record):
		return "it does not speak TLS: use ws:, or terminate TLS before it"
	case errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("no answer within %v: a firewall, or a server that hangs", handshakeTimeout)
	}
	return err.Error()
}
