//! A service on axum-server, built with the version before and with the version after its makers mended
//! a leak: 0.2.1 keeps the handle of each connection's task as long as it serves
//! (programatik29/axum-server, issue 13).

use axum::Router;
use axum::handler::{get, post};
use axum::http::StatusCode;
use axum_server::Handle;
use fixture::{Args, Mode, Needs, Truth, alloc, die};
use rustls::internal::pemfile;
use rustls::{
    AllowAnyAuthenticatedClient, Certificate, ClientCertVerified, ClientCertVerifier,
    DistinguishedNames, PrivateKey, RootCertStore, ServerConfig, ServerSessionMemoryCache,
    StoresServerSessions, TLSError,
};
use std::fs::File;
use std::io::BufReader;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use webpki::DNSName;

#[global_allocator]
static HEAP: alloc::Counting = alloc::Counting;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const LEAKY: bool = matches!(VERSION.as_bytes(), b"0.2.1");
const MODES: &[Mode] = &[if LEAKY {
    Mode::leak("reconnect", "connection", Needs::Nothing)
} else {
    Mode::pass("reconnect", Needs::Nothing)
}];

/// As many sessions as rustls keeps by default.
const SESSIONS: usize = 256;

/// Is asked once a full handshake.
struct Seeing {
    verifier: Arc<dyn ClientCertVerifier>,
    truth: &'static Truth,
}

impl ClientCertVerifier for Seeing {
    fn client_auth_mandatory(&self, sni: Option<&DNSName>) -> Option<bool> {
        self.verifier.client_auth_mandatory(sni)
    }

    fn client_auth_root_subjects(&self, sni: Option<&DNSName>) -> Option<DistinguishedNames> {
        self.verifier.client_auth_root_subjects(sni)
    }

    fn verify_client_cert(
        &self,
        chain: &[Certificate],
        sni: Option<&DNSName>,
    ) -> Result<ClientCertVerified, TLSError> {
        let verified = self.verifier.verify_client_cert(chain, sni)?;
        self.truth.saw_handshake(false);
        if let [leaf, ..] = chain {
            self.truth.saw_cert(&leaf.0);
        }
        Ok(verified)
    }
}

/// Gives a session back once a resumption.
struct Sessions {
    cache: Arc<ServerSessionMemoryCache>,
    truth: &'static Truth,
}

impl Sessions {
    fn note(&self, found: Option<Vec<u8>>) -> Option<Vec<u8>> {
        if found.is_some() {
            self.truth.saw_handshake(true);
        }
        found
    }
}

impl StoresServerSessions for Sessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.cache.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.note(self.cache.get(key))
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.note(self.cache.take(key))
    }
}

fn open(path: &Path) -> BufReader<File> {
    BufReader::new(
        File::open(path).unwrap_or_else(|e| die(format_args!("{}: {e}", path.display()))),
    )
}

/// What a PEM file holds, at least one of it.
fn all<T>(path: &Path, read: impl Fn(&mut dyn std::io::BufRead) -> Result<Vec<T>, ()>) -> Vec<T> {
    match read(&mut open(path)) {
        Ok(found) if !found.is_empty() => found,
        _ => die(format_args!("{}: nothing of use in it", path.display())),
    }
}

fn certificates(path: &Path) -> Vec<Certificate> {
    all(path, pemfile::certs)
}

fn server_config(args: &Args, truth: &'static Truth) -> ServerConfig {
    let mut roots = RootCertStore::empty();
    for root in certificates(&args.ca) {
        roots
            .add(&root)
            .unwrap_or_else(|e| die(format_args!("{}: {e}", args.ca.display())));
    }
    let verifier = AllowAnyAuthenticatedClient::new(roots);
    let mut config = ServerConfig::new(Arc::new(Seeing { verifier, truth }));
    let mut keys: Vec<PrivateKey> = all(&args.key, pemfile::pkcs8_private_keys);
    config
        .set_single_cert(certificates(&args.cert), keys.remove(0))
        .unwrap_or_else(|e| die(format_args!("{}: {e}", args.key.display())));
    config.set_persistence(Arc::new(Sessions {
        cache: ServerSessionMemoryCache::new(SESSIONS),
        truth,
    }));
    config
}

async fn serve(args: Args, truth: &'static Truth) {
    let work = move || async move {
        truth.saw_request();
        "ok\n"
    };
    let body = move |body: axum::body::Bytes| async move {
        truth.saw_request();
        format!("{}\n", body.len())
    };
    let app = Router::new()
        .route("/", get(work))
        .route("/work", get(work))
        .route("/clean", get(work))
        .route("/body", post(body))
        .or(get(|| async { StatusCode::NOT_FOUND }));
    let handle = Handle::new();
    let server = axum_server::bind_rustls(args.listen.to_string())
        .tls_config(Arc::new(server_config(&args, truth)))
        .handle(handle.clone())
        .serve(app);
    let announced = async {
        handle.listening().await;
        let addresses: Vec<SocketAddr> = handle.listening_addrs().unwrap_or_default();
        match addresses.first() {
            Some(address) => fixture::ready(
                concat!("axum-server ", env!("CARGO_PKG_VERSION")),
                &args,
                *address,
            ),
            None => die("no address to listen on"),
        }
    };
    // Asked first, since only those who wait already are told.
    let ((), served) = tokio::join!(announced, server);
    if let Err(e) = served {
        die(e);
    }
}

fn main() {
    let args = Args::parse(MODES);
    let truth = Truth::start(&args);
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    match builder.worker_threads(args.workers).enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(args, truth)),
        Err(e) => die(e),
    }
}
