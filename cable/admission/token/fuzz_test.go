package token

import "testing"

// Only what the secret has signed is obeyed.
func FuzzRevocation(f *testing.F) {
	f.Add([]byte(`{"dismissal":"{\"sub\":\"7\"}","signature":"00"}`))
	f.Add(Revocation{Subject: "7"}.Sign("another secret"))
	f.Add([]byte(`{"dismissal":{},"signature":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := Revocations{Secret: "the secret"}
		if _, reason := d.Verify(payload); reason == "" {
			t.Errorf("%q is obeyed", payload)
		}
	})
}
