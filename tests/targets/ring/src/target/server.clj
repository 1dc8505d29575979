(ns target.server
  "A Ring service on Jetty behind mutual TLS that keeps what it should not, as --leak says.  The
  fleet's README has the command line, the READY line and the routes."
  (:require [clojure.data.json :as json]
            [clojure.string :as string]
            [compojure.core :refer [GET POST routes wrap-routes]]
            [compojure.route :as route]
            [ring.adapter.jetty :refer [run-jetty]]
            [target.credentials :refer [wrap-credentials]]
            [target.modes :as modes]
            [target.pki :as pki]
            [target.truth :as truth])
  (:import (java.io IOException InputStream OutputStream)
           (java.lang ProcessHandle)
           (java.security.cert X509Certificate)
           (org.eclipse.jetty.io Connection Connection$Listener)
           (org.eclipse.jetty.io.ssl SslConnection SslHandshakeListener SslHandshakeListener$Event)
           (org.eclipse.jetty.server Server ServerConnector)
           (org.eclipse.jetty.util Jetty)))

(set! *warn-on-reflection* true)

(def defaults
  {:listen "127.0.0.1:0" :ca nil :cert nil :key nil :apikey-secret nil :jwt-secret nil
   :leak "none" :truth nil :cap 10000 :ttl 300 :sweep 60 :payload 1024 :workers 16})

(defn fail [& text]
  (binding [*out* *err*]
    (println (apply str text)))
  (System/exit 2))

(defn parse [arguments]
  (loop [options defaults, [option value & more] arguments]
    (let [name (when option (keyword (string/replace-first option "--" "")))]
      (cond
        (nil? option) options
        (or (not (string/starts-with? option "--")) (not (contains? defaults name)))
        (fail option ": no such option")
        (nil? value) (fail option " needs a value")
        (number? (defaults name)) (recur (assoc options name (or (parse-long value)
                                                                 (fail option ": no number")))
                                         more)
        :else (recur (assoc options name value) more)))))

(defn- answer [what]
  {:status 200 :headers {"Content-Type" "application/json"} :body (str (json/write-str what) "\n")})

(defn- work [{cert :ssl-client-cert}]
  (answer {:fingerprint (modes/fingerprint cert)}))

(defn- whoami [{^X509Certificate cert :ssl-client-cert}]
  (answer {:subject (.getName (.getSubjectX500Principal cert))}))

(defn- drained
  "Bytes of the request's body; nil when it ended early."
  [^InputStream body]
  (try
    (.transferTo body (OutputStream/nullOutputStream))
    (catch IOException _
      (truth/add! :aborted)
      nil)))

(defn- body [{in :body}]
  (if-let [n (drained in)]
    (answer {:bytes n})
    {:status 400 :headers {} :body "the body ended early\n"}))

(defn- park [request]
  (let [response (body request)]
    (Thread/sleep 200) ; as a slow back end
    response))

(defn- rotate [_]
  (answer {:rotation (truth/add! :rotations)}))

(defn- wrap-count [handler]
  (fn [request]
    (truth/add! :requests)
    (handler request)))

(defn- wrap-audit [handler audit]
  (fn [request]
    (audit request)
    (handler request)))

(defn- secret [path]
  (when path
    (let [text (string/trim (slurp path))]
      (if (string/blank? text) (fail path " is empty") text))))

(defn- service [audit {:keys [apikey-secret jwt-secret]}]
  (-> (routes
       (GET "/clean" request (work request))
       (-> (routes
            (GET "/" request (work request))
            (GET "/work" request (work request))
            (GET "/whoami" request (whoami request))
            (POST "/body" request (body request))
            (POST "/ignore" request (work request))
            (POST "/park" request (park request))
            (POST "/rotate" request (rotate request)))
           (wrap-routes wrap-audit audit))
       (route/not-found "not found\n"))
      (wrap-credentials (secret apikey-secret) (secret jwt-secret))
      (wrap-count)))

;; The JDK does not say that a session was resumed, but such a one is older than its connection.
(defn- handshake-of [^SslConnection connection]
  (reify SslHandshakeListener
    (handshakeSucceeded [_ event]
      (let [session (.getSession (.getSSLEngine ^SslHandshakeListener$Event event))]
        (truth/add! (if (< (.getCreationTime session) (.getCreatedTimeStamp connection))
                      :resumptions
                      :handshakes_full))
        (truth/see! :certs (truth/sha256 (.getEncoded ^X509Certificate
                                                      (aget (.getPeerCertificates session) 0))))))))

(def ^:private opened
  (reify Connection$Listener
    (onOpened [_ connection]
      (when (instance? SslConnection connection)
        (truth/add! :connections)
        (.addHandshakeListener ^SslConnection connection (handshake-of connection))))
    (onClosed [_ _])))

(defn- connector ^ServerConnector [^Server server]
  (first (.getConnectors server)))

(defn- start ^Server [handler {:keys [listen ca cert key workers]}]
  (let [[_ host port] (re-matches #"(.*):(\d+)" listen)]
    (run-jetty handler
               {:http? false :ssl? true :host host :ssl-port (parse-long port) :join? false
                :keystore (pki/key-store cert key) :key-password pki/password
                :truststore (pki/trust-store ca) :client-auth :need
                :max-threads workers
                :configurator (fn [^Server server]
                                (.addBean (connector server) opened))})))

(defn- ready [server {:keys [listen leak]}]
  (let [[_ host] (re-matches #"(.*):\d+" listen)]
    (println "READY"
             (json/write-str {:addr (str host ":" (.getLocalPort (connector server)))
                              :pid (.pid (ProcessHandle/current))
                              :mode leak
                              :impl (str "ring " (System/getProperty "ring.version") " jetty "
                                         Jetty/VERSION " java " (System/getProperty "java.version"))}
                             :escape-slash false))
    (flush)))

(defn- attend
  "Obeys standard input until it ends."
  [file]
  (when-let [line (read-line)]
    (when (= line "floor")
      (truth/floor! file))
    (recur file)))

(defn -main [& arguments]
  (if (= ["--modes"] arguments)
    (doseq [[name verdict driver] modes/table]
      (println name verdict driver))
    (let [options (parse arguments)
          audit (or (modes/audit (:leak options) options)
                    (fail "--leak " (:leak options) ": no such mode (--modes lists them)"))
          server (start (service audit options) options)
          file (some-> (:truth options) (truth/tell!))]
      (ready server options)
      (attend file)))
  (System/exit 0))
