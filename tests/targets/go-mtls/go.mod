module tlsoak.test/go-mtls

go 1.19
