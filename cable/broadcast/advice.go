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

// defaultAdvice is for errors that advise does not know.
const defaultAdvice = "check that it is running and that the url in config/cable.yml or REDIS_URL " +
	"points to it"

// advise returns what to do about a failed connection to Redis.
func advise(err error, overTLS bool) string {
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	text := err.Error()
	switch {
	case strings.Contains(text, "NOAUTH"):
		return "Redis requires a password: set redis://:password@… in the url of config/cable.yml or in " +
			"REDIS_URL, or broadcasts.redis.password"
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "invalid password"):
		return "the user or the password is wrong: compare it with what Rails uses, and percent-encode " +
			"special characters in a url (@ as %40)"
	case errors.As(err, &certificate):
		return "its certificate is not trusted: set its authority as ca_file in ssl_params, or skip " +
			"verification as in Rails with ssl_params: { verify_mode: 0 } (broadcasts.redis.ssl_params)"
	case errors.As(err, &record), overTLS && hungUp(err), overTLS && errors.As(err, &network) && network.Timeout():
		return "use redis:// if this port does not speak TLS"
	case !overTLS && (hungUp(err) || strings.Contains(text, "\x15\x03") || strings.Contains(text, `\x15\x03`)): // a TLS alert
		return "use rediss:// if this port speaks TLS"
	}
	return defaultAdvice
}

func hungUp(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// unreachableError is the error of a failed connection and advice on what to do about it.
type unreachableError struct {
	error
	advice string
}

func (e *unreachableError) Unwrap() error { return e.error }

func (e *unreachableError) Error() string { return fmt.Sprintf("%v: %s", e.error, e.advice) }
