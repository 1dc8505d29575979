(ns target.truth
  "What the server knows of itself: a line of JSON a second, and one after a collection on demand."
  (:require [clojure.data.json :as json])
  (:import (java.io FileWriter Writer)
           (java.nio ByteBuffer)
           (java.security MessageDigest)
           (java.util.concurrent.atomic AtomicLong)))

(set! *warn-on-reflection* true)

(def ^:private figures
  (into {} (for [name [:entries :bytes :requests :connections :handshakes_full :resumptions :certs
                       :keys :jwts :aborted :rotations]]
             [name (AtomicLong.)])))

(defn add!
  ([figure] (add! figure 1))
  ([figure n] (.addAndGet ^AtomicLong (figures figure) (long n))))

(defn keep!
  "Books what a mode keeps more."
  [entries bytes]
  (add! :entries entries)
  (add! :bytes bytes))

;; Different things are counted in memory that is there from the start, so that counting is no
;; growth: exact up to 229,376, where it stops.
(def ^:private slots (bit-shift-left 1 18))
(def ^:private most (* 7 (quot slots 8)))
(def ^:private tables {:certs (long-array slots) :keys (long-array slots) :jwts (long-array slots)})

(defn sha256 ^bytes [^bytes text]
  (.digest (MessageDigest/getInstance "SHA-256") text))

(defn see!
  "Counts a certificate, key or token, told by its hash, when it comes for the first time."
  [kind ^bytes hash]
  (let [^longs table (tables kind)
        n (long most)
        mask (dec (long slots))
        mark (bit-or (.getLong (ByteBuffer/wrap hash)) 1)]
    (locking table
      (loop [at (bit-and (unsigned-bit-shift-right mark 1) mask)]
        (let [there (aget table at)]
          (cond
            (= there mark) nil
            (not (zero? there)) (recur (bit-and (inc at) mask))
            (< (.get ^AtomicLong (figures kind)) n) (do (aset table at mark) (add! kind))))))))

(def ^:private began (System/nanoTime))

(defn- line [live floor]
  (cond-> (into {:t_s (/ (- (System/nanoTime) began) 1e9) :live_bytes live}
                (for [[name ^AtomicLong n] figures] [name (.get n)]))
    floor (assoc :floor true)))

(defn- write! [^Writer file line]
  (locking file
    (.write file (str (json/write-str line) "\n"))
    (.flush file)))

(defn floor!
  "A line with what the heap really holds."
  [file]
  (dotimes [_ 4] ; only every fourth of the serial collector leaves no dead objects in the old generation
    (System/gc))
  (let [heap (Runtime/getRuntime)]
    (when file
      (write! file (line (- (.totalMemory heap) (.freeMemory heap)) true)))))

(defn tell!
  "Writes to the file from now on, each second; returns it."
  [^String path]
  (let [file (FileWriter. path true)]
    (doto (Thread. #(while true
                      (Thread/sleep 1000)
                      (write! file (line nil false))))
      (.setDaemon true)
      (.start))
    file))
