module tlsoak.test/goclient

go 1.21
