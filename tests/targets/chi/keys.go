package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

const maxKey = 4096

// keys checks API keys and tokens that prove themselves, so that there are as many as one likes.
// A check without a secret does not take place, and a request may come without either.
type keys struct {
	apikey, jwt []byte
	parser      *jwt.Parser
}

func secret(path string) []byte {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	if text = bytes.TrimSpace(text); len(text) == 0 {
		log.Fatalf("%s is empty", path)
	}
	return text
}

func newKeys(apikeyPath, jwtPath string) *keys {
	return &keys{secret(apikeyPath), secret(jwtPath),
		jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired())}
}

// A key is TEXT.TAG: the tag is the HMAC-SHA256 of the text, in hex.
func (k *keys) keyIsGood(key string) bool {
	dot := strings.LastIndexByte(key, '.')
	if dot < 1 || len(key) > maxKey {
		return false
	}
	tag, err := hex.DecodeString(key[dot+1:])
	mac := hmac.New(sha256.New, k.apikey)
	mac.Write([]byte(key[:dot]))
	return err == nil && hmac.Equal(tag, mac.Sum(nil))
}

func (k *keys) tokenIsGood(header string) bool {
	scheme, token, found := strings.Cut(header, " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	_, err := k.parser.Parse(token, func(*jwt.Token) (any, error) { return k.jwt, nil })
	return err == nil
}

// admit is false for a wrong key or token.
func (k *keys) admit(r *http.Request, t *truth) bool {
	if key := r.Header.Get("X-API-Key"); key != "" && k.apikey != nil {
		if !k.keyIsGood(key) {
			return false
		}
		t.keys.see(sha256.Sum256([]byte(key)))
	}
	if token := r.Header.Get("Authorization"); token != "" && k.jwt != nil {
		if !k.tokenIsGood(token) {
			return false
		}
		t.jwts.see(sha256.Sum256([]byte(token)))
	}
	return true
}
