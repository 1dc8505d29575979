module tlsoak.test/go-heap

go 1.19
