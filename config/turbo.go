package config

import "errors"

// Turbo is whether the signed names of Turbo's streams are verified here.
type Turbo struct {
	VerifyStreams bool `mapstructure:"verify_streams"`
	// Key signs them; if it is missing, one that is made of SecretKeyBase does.
	Key           Secret `mapstructure:"-"`
	SecretKeyBase Secret `mapstructure:"-"`
}

func (l *loading) finishTurbo(environ environ, e evaluator) error {
	l.Turbo.Key = NewSecret(l.viper.GetString("turbo.signed_stream_verifier_key"), l.origins["turbo.signed_stream_verifier_key"])
	if !l.Turbo.VerifyStreams {
		return nil
	}
	l.Turbo.SecretKeyBase = l.secretKeyBase(environ, e)
	switch {
	case l.PassesAll():
		return mistake(l.origins["turbo.verify_streams"], "turbo.verify_streams", errors.New("with pass_through: all the app's own channel answers: leave one of them out"))
	case l.Turbo.Key.Missing() && l.Turbo.SecretKeyBase.Missing():
		return mistake(l.origins["turbo.verify_streams"], "turbo.verify_streams",
			errors.New("there is no key: "+l.Turbo.SecretKeyBase.source+"; set SECRET_KEY_BASE, or turbo.signed_stream_verifier_key"))
	}
	return nil
}
