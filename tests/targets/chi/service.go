package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

const (
	maxBody  = 1 << 20
	scanTime = 200 * time.Millisecond // what is awaited in /park
)

// identity is what the service makes of a client's certificate.
type identity struct {
	fingerprint [sha256.Size]byte
	subject     string
	cert        *x509.Certificate
}

func identityOf(r *http.Request) identity {
	cert := r.TLS.PeerCertificates[0]
	return identity{sha256.Sum256(cert.Raw), cert.Subject.String(), cert}
}

// service has what the handlers share.
type service struct {
	options *options
	truth   *truth
	mode    *mode
	keys    *keys
	audit   func(http.ResponseWriter, *http.Request, identity) // nil: nothing to be done
	policy  atomic.Pointer[policy]
}

// policy is what a rotation replaces; the old one is dropped.
type policy struct {
	serial uint64
	table  [4096]byte
}

func (s *service) router() http.Handler {
	s.policy.Store(&policy{})
	r := chi.NewRouter()
	r.Mount("/debug", middleware.Profiler())
	r.Group(func(r chi.Router) {
		r.Use(s.count, s.authenticate)
		r.Get("/clean", s.work)
		r.Group(func(r chi.Router) {
			r.Use(s.audited)
			r.Get("/", s.work)
			r.Get("/work", s.work)
			r.Get("/whoami", s.whoami)
			r.Post("/body", s.body)
			r.Post("/ignore", s.work)
			r.Post("/park", s.park)
			r.Post("/rotate", s.rotate)
		})
	})
	return r
}

// watched tells whether a body could not be read to its end.
type watched struct {
	io.ReadCloser
	failed atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		w.failed.Store(true)
	}
	return n, err
}

// count keeps the figures of the truth; a request is aborted when its client went away.
func (s *service) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.truth.requests.Add(1)
		body := &watched{ReadCloser: r.Body}
		r.Body = body
		next.ServeHTTP(w, r)
		if body.failed.Load() || r.Context().Err() != nil {
			s.truth.aborted.Add(1)
		}
	})
}

func (s *service) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.keys.admit(r, s.truth) {
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *service) audited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.audit != nil {
			s.audit(w, r, identityOf(r))
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, what map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(what)
}

func (s *service) work(w http.ResponseWriter, r *http.Request) {
	id := identityOf(r)
	answer(w, map[string]any{"fingerprint": hex.EncodeToString(id.fingerprint[:])})
}

func (s *service) whoami(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]any{"subject": identityOf(r).subject})
}

func (s *service) body(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	if err != nil {
		http.Error(w, "the body ended early", http.StatusBadRequest)
		return
	}
	answer(w, map[string]any{"bytes": n})
}

func (s *service) rotate(w http.ResponseWriter, r *http.Request) {
	next := &policy{serial: s.truth.rotations.Add(1)}
	s.policy.Store(next)
	answer(w, map[string]any{"rotation": next.serial})
}

type verdict struct {
	text []byte
	err  error
}

// scan takes what comes of the upload to a scanner, which needs its time.
func scan(ctx context.Context, body io.Reader) verdict {
	text, err := io.ReadAll(io.LimitReader(body, maxBody))
	select {
	case <-time.After(scanTime):
	case <-ctx.Done():
		return verdict{text, ctx.Err()}
	}
	return verdict{text, err}
}

// park awaits the scanner or the client's end.
func (s *service) park(w http.ResponseWriter, r *http.Request) {
	var scanned <-chan verdict
	if s.mode.name == "abort-park" {
		scanned = s.scanParked(r)
	} else {
		scanned = scanInTime(r)
	}
	select {
	case v := <-scanned:
		if v.err != nil {
			http.Error(w, "the upload ended early", http.StatusBadRequest)
			return
		}
		answer(w, map[string]any{"bytes": len(v.text)})
	case <-r.Context().Done():
	}
}
