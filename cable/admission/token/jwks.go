package token

import (
	"context"
	"crypto"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

const (
	jwksBytes      = 1 << 20          // of the answer; the rest is ignored
	jwksRefresh    = 10 * time.Minute // between regular fetches
	jwksUnknownKey = 10 * time.Second // at least, between fetches because of unknown keys
	jwksTimeout    = 5 * time.Second  // of one fetch
)

// jwks are the keys that an identity provider publishes at a URL. keyfunc fetches them regularly,
// and when a token names an unknown key, since providers rotate their keys.
type jwks struct {
	url  string
	log  *slog.Logger
	keys atomic.Pointer[keyfunc.Keyfunc] // nil until the first fetch
	down atomic.Bool                     // the last fetch failed
}

func newJWKS(url string, log *slog.Logger) *jwks { return &jwks{url: url, log: log} }

// run fetches the keys until ctx ends.
func (j *jwks) run(ctx context.Context) error {
	client := &http.Client{Timeout: jwksTimeout, Transport: j}
	defer client.CloseIdleConnections()
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{j.url}, keyfunc.Override{
		Client: client, HTTPTimeout: jwksTimeout, RateLimitWaitMax: jwksTimeout, RefreshInterval: jwksRefresh,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksUnknownKey), 1),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				if ctx.Err() == nil && !j.down.Swap(true) {
					j.log.Warn("failed to fetch keys for tokens", "error", err)
				}
			}
		},
	})
	if err != nil {
		return err
	}
	j.keys.Store(&keys)
	<-ctx.Done()
	return nil
}

// RoundTrip is the http.RoundTripper of keyfunc's client. It limits the answer's size.
func (j *jwks) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusOK {
		j.down.Store(false) // RefreshErrorHandlerFunc sets it again if the keys are invalid
		limited := io.LimitReader(response.Body, jwksBytes)
		response.Body = struct {
			io.Reader
			io.Closer
		}{limited, response.Body}
	}
	return response, err
}

// keysFor returns the key that the token names, or all keys for its algorithm if it names none. It
// fails with UnknownKey only if the provider has no such key.
func (j *jwks) keysFor(t *jwt.Token) ([]jwt.VerificationKey, error) {
	loaded := j.keys.Load()
	if loaded == nil {
		return nil, ErrUnavailable
	}
	ctx := context.Background()
	storage := (*loaded).Storage()
	algorithm := t.Method.Alg()
	var candidates []jwkset.JWK
	switch kid := t.Header["kid"].(type) {
	case string:
		key, err := storage.KeyRead(ctx, kid)
		if errors.Is(err, jwkset.ErrKeyNotFound) && !j.down.Load() {
			return nil, UnknownKey
		}
		if err != nil { // the rate limit for fetches, say
			return nil, ErrUnavailable
		}
		candidates = append(candidates, key)
	case nil:
		all, err := storage.KeyReadAll(ctx)
		if err != nil || len(all) == 0 {
			storage.KeyRead(ctx, "") // an unknown key, so it fetches again
			return nil, ErrUnavailable
		}
		candidates = all
	default:
		return nil, Malformed
	}
	var fitting []jwt.VerificationKey
	for _, candidate := range candidates {
		key := candidate.Key()
		if private, ok := key.(interface{ Public() crypto.PublicKey }); ok {
			key = private.Public()
		}
		only := candidate.Marshal().ALG.String()
		if slices.Contains(algorithmsOf(key), algorithm) && (only == "" || only == algorithm) {
			fitting = append(fitting, key)
		}
	}
	return fitting, nil
}
