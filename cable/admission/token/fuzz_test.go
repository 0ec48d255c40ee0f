package token

import "testing"

// FuzzRevocation checks that only the secret can sign a revocation.
func FuzzRevocation(f *testing.F) {
	f.Add([]byte(`{"revocation":"{\"sub\":\"7\"}","signature":"00"}`))
	f.Add(Revocation{Subject: "7"}.Sign("another secret"))
	f.Add([]byte(`{"revocation":{},"signature":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := Revocations{Secret: "the secret"}
		if _, reason := d.Verify(payload); reason == "" {
			t.Errorf("%q is accepted", payload)
		}
	})
}
