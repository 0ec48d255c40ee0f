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
	jwksBytes   = 1 << 20
	jwksEvery   = 10 * time.Minute // between regular looks at the URL
	jwksAtMost  = 10 * time.Second // between looks because of a key that is not known
	jwksTimeout = 5 * time.Second  // for one look
)

// jwks are the keys that an identity provider publishes under a URL. keyfunc
// fetches them now and then, and, rarely, when a token names a key that is not
// among them: that is how providers change keys.
type jwks struct {
	url  string
	log  *slog.Logger
	keys atomic.Pointer[keyfunc.Keyfunc] // nil until the first look
	down atomic.Bool                     // the last look has failed
}

func newJWKS(url string, log *slog.Logger) *jwks { return &jwks{url: url, log: log} }

// run fetches until ctx ends.
func (j *jwks) run(ctx context.Context) error {
	client := &http.Client{Timeout: jwksTimeout, Transport: j}
	defer client.CloseIdleConnections()
	keys, err := keyfunc.NewDefaultOverrideCtx(ctx, []string{j.url}, keyfunc.Override{
		Client: client, HTTPTimeout: jwksTimeout, RateLimitWaitMax: jwksTimeout, RefreshInterval: jwksEvery,
		RefreshUnknownKID: rate.NewLimiter(rate.Every(jwksAtMost), 1),
		RefreshErrorHandlerFunc: func(string) func(context.Context, error) {
			return func(_ context.Context, err error) {
				if ctx.Err() == nil && !j.down.Swap(true) {
					j.log.Warn("keys of tokens cannot be fetched", "error", err)
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

// RoundTrip fetches the keys, and not more than they can be.
func (j *jwks) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusOK {
		j.down.Store(false) // unless they cannot be read: then it is set again
		response.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(response.Body, jwksBytes), response.Body}
	}
	return response, err
}

// keysFor returns the key that the token names, or all of its algorithm if it
// names none. The error is UnknownKey only if the provider has been asked.
func (j *jwks) keysFor(t *jwt.Token) ([]jwt.VerificationKey, error) {
	loaded := j.keys.Load()
	if loaded == nil {
		return nil, ErrUnavailable
	}
	ctx, storage, algorithm := context.Background(), (*loaded).Storage(), t.Method.Alg()
	var candidates []jwkset.JWK
	switch kid := t.Header["kid"].(type) {
	case string:
		key, err := storage.KeyRead(ctx, kid)
		if errors.Is(err, jwkset.ErrKeyNotFound) && !j.down.Load() {
			return nil, UnknownKey
		} else if err != nil { // also when it has been asked too often lately
			return nil, ErrUnavailable
		}
		candidates = append(candidates, key)
	case nil:
		var err error
		if candidates, err = storage.KeyReadAll(ctx); err != nil || len(candidates) == 0 {
			storage.KeyRead(ctx, "") // has it looked again
			return nil, ErrUnavailable
		}
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
