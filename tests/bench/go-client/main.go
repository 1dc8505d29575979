// What Go's net/http costs as a mutual-TLS client: N requests, each over a connection of its own, 16 at a
// time on one core. Prints the CPU seconds of the loop alone, its start-up left out.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func cpu() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		log.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func client(caFile, certFile string) *http.Client {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(certFile, certFile)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair},
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256}}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
}

func get(c *http.Client, url string) {
	response, err := c.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != 200 {
		log.Fatal(response.Status, err)
	}
}

func main() {
	url := flag.String("url", "", "what to ask for")
	ca := flag.String("ca", "", "PEM file of the server's CA")
	cert := flag.String("cert", "", "PEM file of the client's certificate and key")
	n := flag.Int("n", 1500, "requests")
	flag.Parse()
	runtime.GOMAXPROCS(1)
	c := client(*ca, *cert)
	get(c, *url)
	start := cpu()
	todo := make(chan bool)
	var workers sync.WaitGroup
	for i := 0; i < 16; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for range todo {
				get(c, *url)
			}
		}()
	}
	for i := 0; i < *n; i++ {
		todo <- true
	}
	close(todo)
	workers.Wait()
	fmt.Printf("cpu_seconds %.6f\n", (cpu() - start).Seconds())
}
