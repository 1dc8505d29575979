(ns target.credentials
  "API keys and tokens that prove themselves, so that there are as many as one likes."
  (:require [clojure.data.json :as json]
            [clojure.string :as string]
            [target.truth :as truth])
  (:import (java.security MessageDigest)
           (java.util Base64 HexFormat)
           (javax.crypto Mac)
           (javax.crypto.spec SecretKeySpec)))

(set! *warn-on-reflection* true)

(defn- hmac ^bytes [^String secret ^String text]
  (let [mac (doto (Mac/getInstance "HmacSHA256")
              (.init (SecretKeySpec. (.getBytes secret) "HmacSHA256")))]
    (.doFinal mac (.getBytes text))))

(defn- good-key?
  "TEXT.TAG, the tag is the HMAC-SHA256 of the text, in hex."
  [secret ^String key]
  (let [dot (.lastIndexOf key ".")]
    (and (pos? dot) (<= (count key) 4096)
         (MessageDigest/isEqual (.getBytes (subs key (inc dot)))
                                (.getBytes (.formatHex (HexFormat/of)
                                                       (hmac secret (subs key 0 dot))))))))

(defn- decoded ^bytes [^String text]
  (.decode (Base64/getUrlDecoder) text))

(defn- good-token?
  "HS256, signed with the secret, and not over."
  [secret token]
  (try
    (let [[head claims tag & more] (string/split token #"\." -1)
          claim (fn [text name] (get (json/read-str (String. (decoded text))) name))]
      (and tag (nil? more)
           (= "HS256" (claim head "alg"))
           (MessageDigest/isEqual (decoded tag) (hmac secret (str head "." claims)))
           (< (/ (System/currentTimeMillis) 1000) (claim claims "exp"))))
    (catch Exception _ false))) ; no Base64, no JSON, no exp

(defn- admitted? [kind secret text good?]
  (or (nil? secret) (nil? text)
      (when (good? secret text)
        (truth/see! kind (truth/sha256 (.getBytes ^String text)))
        true)))

(defn- token-of [{:strs [authorization]}]
  (when authorization
    (let [[scheme token] (string/split authorization #" " 2)]
      (if (and token (.equalsIgnoreCase "bearer" scheme)) token ""))))

(defn wrap-credentials
  "403 for a wrong key or token; without a secret there is no check, and a request may have neither."
  [handler apikey-secret jwt-secret]
  (fn [{:keys [headers] :as request}]
    (if (and (admitted? :keys apikey-secret (get headers "x-api-key") good-key?)
             (admitted? :jwts jwt-secret (token-of headers) good-token?))
      (handler request)
      {:status 403 :headers {"Content-Type" "text/plain"} :body "forbidden\n"})))
