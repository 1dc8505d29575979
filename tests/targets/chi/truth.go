package main

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/json"
	"log"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

const slots = 1 << 18

// distinct counts different things in memory that is all there from the start, so that counting is
// no growth.  It is exact up to 229,376 and stops there.
type distinct struct {
	lock  sync.Mutex
	table []uint64
	n     int
}

func newDistinct() *distinct {
	d := &distinct{table: make([]uint64, slots)}
	for i := range d.table {
		d.table[i] = 1
		d.table[i] = 0
	}
	return d
}

func (d *distinct) see(hash [sha256.Size]byte) {
	mark := binary.LittleEndian.Uint64(hash[:]) | 1
	d.lock.Lock()
	defer d.lock.Unlock()
	at := mark >> 1 % slots
	for ; d.table[at] != 0; at = (at + 1) % slots {
		if d.table[at] == mark {
			return
		}
	}
	if d.n < slots/8*7 {
		d.table[at] = mark
		d.n++
	}
}

func (d *distinct) count() int {
	d.lock.Lock()
	defer d.lock.Unlock()
	return d.n
}

// truth is what the server knows of itself.
type truth struct {
	began                       time.Time
	file                        *os.File // nil: nobody asks
	lock                        sync.Mutex
	entries, bytes              atomic.Int64
	requests, connections       atomic.Uint64
	fullHandshakes, resumptions atomic.Uint64
	aborted, rotations          atomic.Uint64
	certs, keys, jwts           *distinct
}

func newTruth(path string) *truth {
	t := &truth{began: time.Now(), certs: newDistinct(), keys: newDistinct(), jwts: newDistinct()}
	if path != "" {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			log.Fatal(err)
		}
		t.file = file
	}
	return t
}

// keep books what a mode keeps more or, with negative numbers, gives up.
func (t *truth) keep(entries, bytes int) {
	t.entries.Add(int64(entries))
	t.bytes.Add(int64(bytes))
}

func (t *truth) handshake(state *tls.ConnectionState) {
	if state.DidResume {
		t.resumptions.Add(1)
	} else {
		t.fullHandshakes.Add(1)
	}
	t.certs.see(sha256.Sum256(state.PeerCertificates[0].Raw))
}

func (t *truth) write(live any, floor bool) {
	line := map[string]any{
		"t_s": time.Since(t.began).Seconds(), "entries": t.entries.Load(), "bytes": t.bytes.Load(),
		"live_bytes": live, "requests": t.requests.Load(), "connections": t.connections.Load(),
		"handshakes_full": t.fullHandshakes.Load(), "resumptions": t.resumptions.Load(),
		"certs": t.certs.count(), "keys": t.keys.count(), "jwts": t.jwts.count(),
		"aborted": t.aborted.Load(), "rotations": t.rotations.Load(),
	}
	if floor {
		line["floor"] = true
	}
	text, _ := json.Marshal(line)
	t.lock.Lock()
	defer t.lock.Unlock()
	if t.file != nil {
		_, _ = t.file.Write(append(text, '\n'))
	}
}

// floor tells what is alive: the heap after two collections (the second takes what finalizers and
// pools had held), and the stacks of all goroutines.
func (t *truth) floor() {
	var stats runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	t.write(stats.HeapAlloc+stats.StackInuse, true)
}

func (t *truth) tell() {
	for range time.Tick(time.Second) {
		t.write(nil, false)
	}
}
