package main

import (
	"log/slog"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/config"
)

// newEdge configures what catenary decides about handshakes before it asks Rails.
func newEdge(cfg *config.Config, log *slog.Logger) (edge admission.Options, err error) {
	if edge.Origins, err = admission.ParseOrigins(cfg.AllowedRequestOrigins); err != nil {
		return edge, err
	}
	if edge.Proxies, err = admission.ParseProxies(cfg.TrustedProxies); err != nil {
		return edge, err
	}
	edge.Log = log
	j := cfg.JWT
	if !j.Given() {
		return edge, nil
	}
	edge.Tokens, err = token.New(token.Options{
		Places:     token.Places{Query: j.Query, Authorization: j.Authorization, Subprotocol: j.Subprotocol, Cookie: j.Cookie},
		Algorithms: j.Algorithms, Secret: j.Secret.Reveal(), RotationSecret: j.RotationSecret.Reveal(),
		PublicKeyFiles: j.PublicKeys, JWKSURL: j.JWKSURL,
		Issuer: j.Issuer, Audience: j.Audience, Scope: j.Scope,
		ExpiryOptional: !j.ExpiryRequired, IDRequired: j.IDRequired, Leeway: j.Leeway,
		Identify: templates(j.Identify), Optional: !j.Required, Log: log,
	})
	return edge, err
}
