package broadcast

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// usualAdvice is for what nothing is known about.
const usualAdvice = "see that it runs and that the url in config/cable.yml or REDIS_URL names it"

// advise says what to do about an error of Redis', or of the way there.
func advise(err error, overTLS bool) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	said := err.Error()
	switch {
	case strings.Contains(said, "NOAUTH"):
		return "Redis asks for a password: redis://:password@… in the url of config/cable.yml or in REDIS_URL, or broadcasts.redis.password"
	case strings.Contains(said, "WRONGPASS"), strings.Contains(said, "invalid password"):
		return "the password, or the user, is another one: compare with what Rails uses, and write special characters in a url as %40 and the like"
	case errors.As(err, &certificate):
		return "its certificate is not trusted: name its authority in ssl_params, ca_file, or do as Rails does with ssl_params: { verify_mode: 0 } (broadcasts.redis.ssl_params)"
	case errors.As(err, &record), overTLS && hungUp(err), overTLS && errors.As(err, &network) && network.Timeout():
		return "write redis:// if it does not speak TLS on this port"
	case !overTLS && (hungUp(err) || strings.Contains(said, "\x15\x03") || strings.Contains(said, `\x15\x03`)): // an alert of TLS
		return "write rediss:// if it speaks TLS on this port"
	}
	return usualAdvice
}

func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// unreachableError is why a connection was not made, with what to do about it.
type unreachableError struct {
	error
	advice string
}

func (e *unreachableError) Unwrap() error { return e.error }

func (e *unreachableError) Error() string { return fmt.Sprintf("%v: %s", e.error, e.advice) }
