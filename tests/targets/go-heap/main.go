// A mutual-TLS server whose heap saw-tooths: each request leaves garbage behind, and only what is
// retained stays after a collection.  A second, plain listener serves net/http/pprof and /heap, the
// bytes of the heap in use; "go-heap --ask URL" prints what such a page says.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
)

func ask(url string) {
	response, err := http.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	if _, err = io.Copy(os.Stdout, response.Body); err != nil {
		log.Fatal(err)
	}
	os.Exit(0)
}

func heap(w http.ResponseWriter, _ *http.Request) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Fprintln(w, stats.HeapAlloc)
}

// handler leaves garbage, and with retain, some that stays.
func handler(garbage, retain int) http.HandlerFunc {
	kept := make(chan []byte, 1<<20)
	return func(w http.ResponseWriter, r *http.Request) {
		waste := make([]byte, garbage)
		for i := 0; i < len(waste); i += 4096 {
			waste[i] = byte(i)
		}
		if retain > 0 {
			kept <- make([]byte, retain)
		}
		fmt.Fprintln(w, len(waste))
	}
}

func serve(ca, cert, key string, handler http.Handler) {
	text, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		log.Fatalf("%s: no certificate", ca)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/heap", heap)
	go func() { log.Fatal(http.Serve(plain, nil)) }()
	server := &http.Server{
		Handler:  handler,
		ErrorLog: log.New(io.Discard, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{pair},
			ClientCAs:    roots,
			ClientAuth:   tls.RequireAndVerifyClientCert,
		},
	}
	ready, _ := json.Marshal(map[string]any{"addr": listener.Addr().String(), "pid": os.Getpid(),
		"plain": plain.Addr().String()})
	fmt.Printf("READY %s\n", ready)
	go func() { // its parent's end is its own
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(server.ServeTLS(listener, "", ""))
}

func main() {
	url := flag.String("ask", "", "print the page at this URL, and end")
	ca := flag.String("ca", "", "CA of the clients")
	cert := flag.String("cert", "", "server certificate")
	key := flag.String("key", "", "its key")
	garbage := flag.Int("garbage", 65536, "bytes that each request leaves behind")
	retain := flag.Int("retain", 0, "bytes that each request retains")
	flag.Parse()
	log.SetFlags(0)

	if *url != "" {
		ask(*url)
	}
	debug.SetGCPercent(1000) // collections are rare, as in a server with room
	serve(*ca, *cert, *key, handler(*garbage, *retain))
}
