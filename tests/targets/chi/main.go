// A service on go-chi/chi behind mutual TLS that keeps what it should not, or keeps it within a
// bound, as --leak says.  What it keeps is known to itself (--truth), so that a verdict on it can be
// checked.  ../README.md has the command line, the READY line and the routes.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

const chiPath = "github.com/go-chi/chi/v5"

type options struct {
	listen, ca, cert, key    string
	apikeySecret, jwtSecret  string
	leak, truth              string
	cap, ttl, sweep, payload int
	workers                  int
}

func parse() *options {
	o := &options{}
	flag.StringVar(&o.listen, "listen", "127.0.0.1:0", "address")
	flag.StringVar(&o.ca, "ca", "", "CA of the clients, PEM")
	flag.StringVar(&o.cert, "cert", "", "server certificate, PEM")
	flag.StringVar(&o.key, "key", "", "its key, PEM")
	flag.StringVar(&o.apikeySecret, "apikey-secret", "", "file; API keys are checked with it")
	flag.StringVar(&o.jwtSecret, "jwt-secret", "", "file; tokens (HS256) are checked with it")
	flag.StringVar(&o.leak, "leak", "none", "mode, see --modes")
	flag.StringVar(&o.truth, "truth", "", "file for a JSON line a second")
	flag.IntVar(&o.cap, "cap", 10000, "entries of the bounded cache")
	flag.IntVar(&o.ttl, "ttl", 300, "seconds that an entry lives")
	flag.IntVar(&o.sweep, "sweep", 60, "seconds between sweeps")
	flag.IntVar(&o.payload, "payload", 1024, "bytes of a cached response")
	flag.IntVar(&o.workers, "workers", 2, "GOMAXPROCS")
	modes := flag.Bool("modes", false, "print the modes: NAME leak|pass DRIVER")
	flag.Parse()
	if *modes {
		for _, m := range modeTable {
			fmt.Println(m.name, m.verdict, m.driver)
		}
		os.Exit(0)
	}
	if modeNamed(o.leak) == nil {
		log.Fatalf("--leak %s: no such mode (--modes lists them)", o.leak)
	}
	if o.cap < 1 || o.ttl < 1 || o.sweep < 1 || o.payload < 0 || o.workers < 1 {
		log.Fatal("--cap, --ttl, --sweep and --workers are at least 1, --payload 0")
	}
	return o
}

func tlsConfig(o *options, t *truth) *tls.Config {
	text, err := os.ReadFile(o.ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		log.Fatalf("%s: no certificate", o.ca)
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		log.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    roots,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
		VerifyConnection: func(state tls.ConnectionState) error {
			t.handshake(&state)
			return nil
		},
	}
}

func chiVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == chiPath {
				return module.Version
			}
		}
	}
	return "unknown"
}

// attend obeys stdin: "floor" is a line of truth after a collection, and its end is ours.
func attend(t *truth) {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		if lines.Text() == "floor" {
			t.floor()
		}
	}
	os.Exit(0)
}

func main() {
	log.SetFlags(0)
	o := parse()
	runtime.GOMAXPROCS(o.workers)

	t := newTruth(o.truth)
	s := &service{options: o, truth: t, mode: modeNamed(o.leak)}
	s.keys = newKeys(o.apikeySecret, o.jwtSecret)
	config := tlsConfig(o, t)
	server := &http.Server{
		Handler:           s.router(),
		TLSConfig:         config,
		ErrorLog:          log.New(io.Discard, "", 0), // each refused handshake is a line
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       10 * time.Minute,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				t.connections.Add(1)
			}
		},
	}
	s.audit = s.mode.prepare(s, server)

	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		log.Fatal(err)
	}
	ready, _ := json.Marshal(map[string]any{"addr": listener.Addr().String(), "pid": os.Getpid(),
		"mode": o.leak, "impl": "chi " + chiVersion() + " " + runtime.Version()})
	fmt.Printf("READY %s\n", ready)

	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, os.Interrupt)
	go func() {
		<-ended
		os.Exit(0)
	}()
	go attend(t)
	go t.tell()
	log.Fatal(server.ServeTLS(listener, "", ""))
}
