package token

import (
	"slices"
	"testing"
)

func TestVerify_MakesIdentitiesFromClaims(t *testing.T) {
	v := verifier(t, Options{Places: Places{Query: "token"}, Secret: secret, Identify: []Template{
		ParseTemplate("current_user=gid://app/User/{sub}"), ParseTemplate("tenant={https://app.example/tenant}-{n}"),
	}})
	claims := func(changes map[string]any) (*Claims, error) {
		return v.check(sign(t, "HS256", []byte(secret), devise(changes)))
	}
	const tenant = "https://app.example/tenant"
	got, err := claims(map[string]any{"sub": "a/../B 7?x", tenant: "gid://app/User/1", "n": 5})
	want := []Identity{{"current_user", "gid://app/User/a%2F..%2FB+7%3Fx", true}, {"tenant", "gid://app/User/1-5", false}}
	if err != nil || !slices.Equal(got.Identities, want) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, claim := range []any{"(none)", "", nil, true, []string{"a"}} {
		if _, err := claims(map[string]any{tenant: claim, "n": 5}); err != ClaimMissing {
			t.Errorf("with %v: %v", claim, err)
		}
	}
}
