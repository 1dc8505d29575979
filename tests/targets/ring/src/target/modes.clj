(ns target.modes
  "Ways to keep, or not to keep, what belongs to a client: each is a step of the middleware."
  (:require [target.truth :as truth])
  (:import (java.security.cert X509Certificate)
           (java.util HexFormat)))

(set! *warn-on-reflection* true)

(defn fingerprint [^X509Certificate cert]
  (.formatHex (HexFormat/of) (truth/sha256 (.getEncoded cert))))

(defn- none
  "Works with the certificate and lets it go."
  [_]
  (fn [{cert :ssl-client-cert}] (fingerprint cert)))

(defn- atom-certs
  "A set of all certificates, for ever."
  [_]
  (let [seen (atom #{})]
    (fn [{^X509Certificate cert :ssl-client-cert}]
      (let [[before after] (swap-vals! seen conj cert)]
        (when (< (count before) (count after))
          (truth/keep! 1 (alength (.getEncoded cert))))))))

(defn- atom-requests
  "A trail of all requests, without their bodies."
  [_]
  (let [trail (atom [])]
    (fn [request]
      (swap! trail conj (dissoc request :body))
      (truth/keep! 1 (reduce-kv (fn [n k v] (+ n (count k) (count v))) 0 (:headers request))))))

(defn- seed-verbatim
  "As atom-certs, by a key that Ring does not have: a set of one nil."
  [_]
  (let [seen (atom #{})]
    (fn [{cert :ssl-client-certificate}]
      (let [[before after] (swap-vals! seen conj cert)]
        (when (< (count before) (count after))
          (truth/keep! 1 0))))))

(defn- page [name size]
  (apply str (take size (cycle name))))

(defn- resp-cache
  "A rendered page for each client, and no eviction."
  [{:keys [payload]}]
  (let [pages (atom {})]
    (fn [{cert :ssl-client-cert}]
      (let [name (fingerprint cert)]
        (when-not (@pages name)
          (let [page (page name payload)
                [before after] (swap-vals! pages #(if (% name) % (assoc % name page)))]
            (when (< (count before) (count after))
              (truth/keep! 1 (+ (count name) (count page))))))))))

(def table
  [["none" "pass" "-" none]
   ["atom-certs" "leak" "client_certificate" atom-certs]
   ["atom-requests" "leak" "request" atom-requests]
   ["seed-verbatim" "pass" "-" seed-verbatim]
   ["resp-cache" "leak" "client_certificate" resp-cache]])

(defn audit
  "The step of the mode, or nil where there is no such mode."
  [name options]
  (when-let [make (some (fn [[n _ _ make]] (when (= n name) make)) table)]
    (make options)))
