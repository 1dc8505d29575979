// A mutual-TLS server on Go's crypto/tls and net/http, with nothing else in it: what many services
// are.  It refuses client certificates that a CRL names, and prints one READY line when it accepts.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"runtime"
)

func read(path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	return text
}

// revoked returns a check of the leaf's serial number against the CRL.
func revoked(path string) func([][]byte, [][]*x509.Certificate) error {
	block, _ := pem.Decode(read(path))
	if block == nil {
		log.Fatalf("%s: no PEM", path)
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		log.Fatal(err)
	}
	serials := map[string]bool{}
	for _, entry := range list.RevokedCertificates {
		serials[(*big.Int)(entry.SerialNumber).String()] = true
	}
	return func(_ [][]byte, chains [][]*x509.Certificate) error {
		if serials[chains[0][0].SerialNumber.String()] {
			return errors.New("the client's certificate is revoked")
		}
		return nil
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	ca := flag.String("ca", "", "CA of the clients")
	cert := flag.String("cert", "", "server certificate")
	key := flag.String("key", "", "its key")
	crl := flag.String("crl", "", "CRL of the clients' CA")
	flag.Parse()
	log.SetFlags(0)

	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read(*ca)) {
		log.Fatalf("%s: no certificate", *ca)
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    roots,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		MinVersion:   tls.VersionTLS12,
	}
	if *crl != "" {
		config.VerifyPeerCertificate = revoked(*crl)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{
		TLSConfig: config,
		ErrorLog:  log.New(io.Discard, "", 0), // each refused handshake is a line
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, r.TLS.PeerCertificates[0].Subject.CommonName)
		}),
	}
	ready, _ := json.Marshal(map[string]any{
		"addr": listener.Addr().String(), "pid": os.Getpid(), "impl": runtime.Version()})
	fmt.Printf("READY %s\n", ready)
	go func() { // its parent's end is its own
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	log.Fatal(server.ServeTLS(listener, "", ""))
}
