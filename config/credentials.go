package config

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// decryptCredentials opens a file of ActiveSupport::EncryptedFile: AES-128-GCM,
// text, nonce and tag each in base64 with "--" between, the plain text a String
// that Ruby has marshalled. Nothing of key or content is in its errors.
func decryptCredentials(encrypted, key string) ([]byte, error) {
	rawKey, err := hex.DecodeString(key)
	if err != nil || len(rawKey) != 16 {
		return nil, errors.New("the key must be 32 hexadecimal digits")
	}
	parts := strings.Split(strings.TrimSpace(encrypted), "--")
	if len(parts) != 3 {
		return nil, errors.New("the file is not one that Rails has encrypted")
	}
	var raw [3][]byte
	for i, part := range parts {
		if raw[i], err = base64.StdEncoding.DecodeString(part); err != nil {
			return nil, errors.New("the file is damaged: it is not base64")
		}
	}
	block, err := aes.NewCipher(rawKey)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(raw[1]) != gcm.NonceSize() || len(raw[2]) != gcm.Overhead() {
		return nil, errors.New("the file is damaged: nonce or tag has a wrong length")
	}
	plain, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), nil)
	if err != nil {
		return nil, errors.New("the key does not belong to this file, or the file was changed")
	}
	return marshalledString(plain)
}

// marshalledString reads Marshal.dump of a String: 4.8, perhaps "I" for what
// has an encoding, '"', the length, the bytes.
func marshalledString(data []byte) ([]byte, error) {
	notString := errors.New("the file holds no text that Ruby marshalled")
	rest, ok := strings.CutPrefix(string(data), "\x04\x08")
	if !ok {
		return nil, notString
	}
	rest = strings.TrimPrefix(rest, "I")
	if rest, ok = strings.CutPrefix(rest, `"`); !ok || rest == "" {
		return nil, notString
	}
	// Marshal's integers: 5 and above are the number plus 5, 1 to 4 say how many
	// bytes follow, little end first
	length, digits := int(int8(rest[0])), 0
	rest = rest[1:]
	switch {
	case length >= 5:
		length -= 5
	case length < 0:
		return nil, notString
	default:
		digits, length = length, 0
	}
	if digits > len(rest) {
		return nil, notString
	}
	for i := range digits {
		length |= int(rest[i]) << (8 * i)
	}
	if rest = rest[digits:]; length > len(rest) {
		return nil, notString
	}
	return []byte(rest[:length]), nil
}
