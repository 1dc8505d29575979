(ns target.pki
  "PEM files as the key stores that Jetty takes; they are made in memory and never written."
  (:require [clojure.java.io :as io]
            [clojure.string :as string])
  (:import (java.security KeyFactory KeyStore)
           (java.security.cert Certificate CertificateFactory)
           (java.security.spec PKCS8EncodedKeySpec)
           (java.util Base64)))

(set! *warn-on-reflection* true)

(def password "in-memory") ; a key entry must have one

(defn- certificates [path]
  (with-open [in (io/input-stream path)]
    (vec (.generateCertificates (CertificateFactory/getInstance "X.509") in))))

(defn- private-key [path ^Certificate cert]
  (let [text (second (re-find #"(?s)-----BEGIN PRIVATE KEY-----(.*?)-----END" (slurp path)))
        _ (when-not text (throw (ex-info (str path ": no PKCS #8 key in PEM") {})))
        der (.decode (Base64/getMimeDecoder) ^String (string/trim text))]
    (.generatePrivate (KeyFactory/getInstance (.getAlgorithm (.getPublicKey cert)))
                      (PKCS8EncodedKeySpec. der))))

(defn- empty-store ^KeyStore []
  (doto (KeyStore/getInstance "PKCS12") (.load nil nil)))

(defn key-store [cert-path key-path]
  (let [chain (certificates cert-path)]
    (doto (empty-store)
      (.setKeyEntry "server" (private-key key-path (first chain)) (.toCharArray ^String password)
                    (into-array Certificate chain)))))

(defn trust-store [ca-path]
  (let [store (empty-store)]
    (doseq [[i cert] (map-indexed vector (certificates ca-path))]
      (.setCertificateEntry store (str "ca" i) cert))
    store))
