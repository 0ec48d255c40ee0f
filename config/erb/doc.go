// Package erb reads files such as config/cable.yml without Ruby. It replaces the ERB tags by
// placeholders, so that a YAML parser can read the file, and evaluates an expression only when its
// value is needed. It knows the expressions that such files have: ENV, ||, ?:, presence and the
// like, Rails.env, two constants of OpenSSL, and literals. Anything else is an error.
package erb
