package main

import (
	"container/list"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

type audit = func(http.ResponseWriter, *http.Request, identity)

// mode is one way to keep, or not to keep, what belongs to a client.  prepare makes the step of the
// middleware, or changes the server.
type mode struct {
	name, verdict, driver string
	prepare               func(*service, *http.Server) audit
}

var modeTable = []mode{
	{"none", "pass", "-", func(*service, *http.Server) audit { return nil }},
	{"scoped", "pass", "-", scoped},
	{"pkg-var", "pass", "-", pkgVar},
	{"global-set", "leak", "client_certificate", globalSet},
	{"req-slice", "leak", "request", reqSlice},
	{"ctx-map", "leak", "request", ctxMap},
	{"resp-cache", "leak", "client_certificate", respCache},
	{"tls-config", "leak", "connection", keptConfigs},
	{"conn-state", "leak", "connection", keptConns},
	{"abort-park", "leak", "aborted", func(*service, *http.Server) audit { return nil }},
	{"abort-ctx", "pass", "-", func(*service, *http.Server) audit { return nil }},
	{"lru", "pass", "-", lru},
	{"ttl", "pass", "-", expiring},
}

func modeNamed(name string) *mode {
	for i := range modeTable {
		if modeTable[i].name == name {
			return &modeTable[i]
		}
	}
	return nil
}

// scoped parses and decides with locals alone.
func scoped(*service, *http.Server) audit {
	return func(w http.ResponseWriter, r *http.Request, id identity) {
		scopes := make([]string, 0, 4)
		for _, unit := range append(id.cert.Subject.OrganizationalUnit, id.cert.DNSNames...) {
			scopes = append(scopes, strings.ToLower(unit))
		}
		w.Header().Set("X-Scopes", fmt.Sprint(len(scopes)))
	}
}

var current *x509.Certificate

// pkgVar keeps the client that came last, with nothing to guard it: wrong, and no leak.
func pkgVar(*service, *http.Server) audit {
	return func(_ http.ResponseWriter, _ *http.Request, id identity) { current = id.cert }
}

// globalSet remembers every certificate that it has seen.
func globalSet(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	seen := map[[sha256.Size]byte]*x509.Certificate{}
	return func(_ http.ResponseWriter, _ *http.Request, id identity) {
		lock.Lock()
		defer lock.Unlock()
		if _, known := seen[id.fingerprint]; !known {
			s.truth.keep(1, len(id.cert.Raw)+len(id.fingerprint))
		}
		seen[id.fingerprint] = id.cert
	}
}

// reqSlice appends each request to a trail.
func reqSlice(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	var trail []*http.Request
	return func(_ http.ResponseWriter, r *http.Request, _ identity) {
		lock.Lock()
		defer lock.Unlock()
		trail = append(trail, r)
		s.truth.keep(1, headerBytes(r))
	}
}

func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Host)
	for name, values := range r.Header {
		n += len(name)
		for _, value := range values {
			n += len(value)
		}
	}
	return n
}

// ctxMap looks values of a request up by the request, and nobody deletes them.
func ctxMap(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	values := map[*http.Request]identity{}
	return func(_ http.ResponseWriter, r *http.Request, id identity) {
		lock.Lock()
		defer lock.Unlock()
		values[r] = id
		s.truth.keep(1, headerBytes(r)+len(id.subject)+len(id.fingerprint))
	}
}

// respCache keeps a rendered page for each client.
func respCache(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	pages := map[string][]byte{}
	return func(w http.ResponseWriter, _ *http.Request, id identity) {
		name := hex.EncodeToString(id.fingerprint[:])
		lock.Lock()
		defer lock.Unlock()
		page, known := pages[name]
		if !known {
			page = make([]byte, 0, s.options.payload)
			for len(page) < s.options.payload {
				page = append(page, id.subject[:min(len(id.subject), s.options.payload-len(page))]...)
			}
			pages[name] = page
			s.truth.keep(1, len(name)+len(page))
		}
		w.Header().Set("X-Page-Bytes", fmt.Sprint(len(page)))
	}
}

// keptConfigs gives each handshake a configuration of its own, and keeps it so that a reload may
// find it.
func keptConfigs(s *service, server *http.Server) audit {
	var lock sync.Mutex
	var configs []*tls.Config
	base := server.TLSConfig.Clone()
	server.TLSConfig.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		config := base.Clone()
		lock.Lock()
		defer lock.Unlock()
		configs = append(configs, config)
		s.truth.keep(1, 0)
		return config, nil
	}
	return nil
}

// keptConns lists the connections that there are, and has no use for their end.
func keptConns(s *service, server *http.Server) audit {
	var lock sync.Mutex
	var conns []net.Conn
	server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		lock.Lock()
		defer lock.Unlock()
		conns = append(conns, conn)
		s.truth.keep(1, 0)
		return ctx
	}
	return nil
}

// scanParked hands the verdict over where nobody may be left to take it: then it waits for ever, with
// the upload in its hand.
func (s *service) scanParked(r *http.Request) <-chan verdict {
	scanned := make(chan verdict)
	go func() {
		v := scan(context.Background(), r.Body)
		s.truth.keep(1, len(v.text))
		scanned <- v
		s.truth.keep(-1, -len(v.text))
	}()
	return scanned
}

// scanInTime ends with the client, and its verdict has a place.
func scanInTime(r *http.Request) <-chan verdict {
	scanned := make(chan verdict, 1)
	go func() { scanned <- scan(r.Context(), r.Body) }()
	return scanned
}

// lru keeps the identities that came last.
func lru(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	entries := map[[sha256.Size]byte]*list.Element{}
	order := list.New()
	return func(_ http.ResponseWriter, _ *http.Request, id identity) {
		lock.Lock()
		defer lock.Unlock()
		if entry, known := entries[id.fingerprint]; known {
			order.MoveToFront(entry)
			return
		}
		entries[id.fingerprint] = order.PushFront(id)
		s.truth.keep(1, len(id.cert.Raw))
		if order.Len() > s.options.cap {
			oldest := order.Remove(order.Back()).(identity)
			delete(entries, oldest.fingerprint)
			s.truth.keep(-1, -len(oldest.cert.Raw))
		}
	}
}

type entry struct {
	id    identity
	until time.Time
}

// expiring keeps identities for a while; a sweep takes those whose time is over.
func expiring(s *service, _ *http.Server) audit {
	var lock sync.Mutex
	entries := map[[sha256.Size]byte]entry{}
	sweep := func(now time.Time) {
		lock.Lock()
		defer lock.Unlock()
		for fingerprint, e := range entries {
			if now.After(e.until) {
				delete(entries, fingerprint)
				s.truth.keep(-1, -len(e.id.cert.Raw))
			}
		}
	}
	go func() {
		for now := range time.Tick(time.Duration(s.options.sweep) * time.Second) {
			sweep(now)
		}
	}()
	return func(_ http.ResponseWriter, _ *http.Request, id identity) {
		lock.Lock()
		defer lock.Unlock()
		if _, known := entries[id.fingerprint]; !known {
			s.truth.keep(1, len(id.cert.Raw))
		}
		entries[id.fingerprint] = entry{id, time.Now().Add(time.Duration(s.options.ttl) * time.Second)}
	}
}
