package config

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// decryptCredentials decrypts a file of ActiveSupport::EncryptedFile: AES-128-GCM, with text, nonce
// and tag in base64, separated by "--". The plain text is a String in Ruby's Marshal format. Errors
// show nothing of key or content.
func decryptCredentials(encrypted, key string) ([]byte, error) {
	rawKey, err := hex.DecodeString(key)
	if err != nil || len(rawKey) != 16 {
		return nil, errors.New("the key must be 32 hexadecimal digits")
	}
	parts := strings.Split(strings.TrimSpace(encrypted), "--")
	if len(parts) != 3 {
		return nil, errors.New("Rails has not encrypted this file")
	}
	var raw [3][]byte
	for i, part := range parts {
		if raw[i], err = base64.StdEncoding.DecodeString(part); err != nil {
			return nil, errors.New("the file is damaged: invalid base64")
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
		return nil, errors.New("the file is damaged: wrong length of nonce or tag")
	}
	plain, err := gcm.Open(nil, raw[1], append(raw[0], raw[2]...), nil)
	if err != nil {
		return nil, errors.New("the key is not the one for this file, or the file was changed")
	}
	return marshalledString(plain)
}

// marshalledString reads Marshal.dump of a String: version 4.8, "I" if it has an encoding, '"', the
// length, the bytes.
func marshalledString(data []byte) ([]byte, error) {
	notString := errors.New("the decrypted file is not a marshalled String")
	rest, ok := strings.CutPrefix(string(data), "\x04\x08")
	if !ok {
		return nil, notString
	}
	rest = strings.TrimPrefix(rest, "I")
	if rest, ok = strings.CutPrefix(rest, `"`); !ok || rest == "" {
		return nil, notString
	}
	// In Marshal's integers, 5 and above is the number plus 5; 1 to 4 is how many bytes follow, the
	// least significant first.
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
