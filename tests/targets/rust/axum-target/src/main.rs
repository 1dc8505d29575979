//! A service on axum behind mutual TLS, with the leaks that such services have, one at a time, and
//! the remedy of each.  Handshakes run in tasks of their own, so that a slow one is in nobody's way.

mod certs;
mod claims;
mod connections;
mod keys;
mod logs;
mod rotation;
mod routes;
mod sessions;
mod uploads;

use connections::Connections;
use fixture::tls::server_config;
use fixture::{Args, Mode, Needs, Truth, die};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use routes::{App, PeerCert};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower_service::Service as _;

#[global_allocator]
static HEAP: fixture::alloc::Counting = fixture::alloc::Counting;

const IMPLEMENTATION: &str = "axum 0.8.9";
const HANDSHAKE: Duration = Duration::from_secs(10);
const REQUEST_HEAD: Duration = Duration::from_secs(30);

const MODES: &[Mode] = &[
    Mode::pass("none", Needs::Nothing),
    Mode::pass("ext-cert", Needs::Nothing),
    Mode::leak("cert-map", "client_certificate", Needs::Nothing),
    Mode::pass("cert-moka", Needs::Nothing),
    Mode::pass("cert-lru", Needs::Nothing),
    Mode::leak("conn-registry", "connection", Needs::Nothing),
    Mode::pass("conn-registry-drop", Needs::Nothing),
    Mode::leak("joinhandle", "connection", Needs::Nothing),
    Mode::pass("joinset", Needs::Nothing),
    Mode::leak("park", "aborted", Needs::Nothing),
    Mode::pass("park-timeout", Needs::Nothing),
    Mode::leak("session-huge", "connection", Needs::Nothing),
    Mode::pass("session-default", Needs::Nothing),
    Mode::pass("session-off", Needs::Nothing),
    Mode::leak("key-map", "api_key", Needs::ApiKey),
    Mode::pass("key-extractor", Needs::ApiKey),
    Mode::pass("key-lru", Needs::ApiKey),
    Mode::leak("key-audit", "request", Needs::ApiKey),
    Mode::pass("key-audit-ring", Needs::ApiKey),
    Mode::leak("log-unbounded", "request", Needs::ApiKey),
    Mode::pass("log-bounded", Needs::ApiKey),
    Mode::leak("rotate-keep", "rotation", Needs::ApiKey),
    Mode::pass("rotate-swap", Needs::ApiKey),
    Mode::leak("claims-map", "jwt", Needs::Jwt),
    Mode::leak("claims-tls", "jwt", Needs::Jwt),
    Mode::pass("claims-none", Needs::Jwt),
    Mode::pass("claims-cache", Needs::Jwt),
    Mode::pass("claims-moka", Needs::Jwt),
];

/// What a connection needs of the server.
#[derive(Clone)]
struct Server {
    app: App,
    router: axum::Router,
    acceptor: TlsAcceptor,
    connections: Connections,
}

impl Server {
    /// From the handshake to the end of the connection.
    async fn serve(self, tcp: TcpStream) {
        let _ = tcp.set_nodelay(true);
        let peer = tcp.peer_addr();
        let Ok(Ok(tls)) = timeout(HANDSHAKE, self.acceptor.accept(tcp)).await else {
            return;
        };
        let session = tls.get_ref().1;
        let (Some([cert, ..]), Ok(peer)) = (session.peer_certificates(), peer) else {
            return;
        };
        let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        self.app.truth.saw_handshake(resumed);
        self.app.truth.saw_cert(cert);
        let cert = PeerCert(Arc::from(&cert[..]));
        let _entry = self.connections.enter(&cert, peer);

        let router = self.router;
        let service = hyper::service::service_fn(move |mut request: hyper::Request<_>| {
            request.extensions_mut().insert(cert.clone());
            router.clone().call(request)
        });
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST_HEAD);
        http.http2().timer(TokioTimer::new());
        // Its errors are those of clients that went away.
        let _ = http.serve_connection(TokioIo::new(tls), service).await;
    }
}

async fn accept(listener: TcpListener, server: Server, mode: &str) {
    let mut handles = Vec::new();
    let mut running = JoinSet::new();
    loop {
        let tcp = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = running.join_next() => continue,
        };
        let Ok((tcp, _)) = tcp else {
            // No descriptor is left; some will be.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        let connection = server.clone().serve(tcp);
        match mode {
            // For a shutdown that will wait for them; nobody takes out those that have ended.
            "joinhandle" => {
                handles.push(tokio::spawn(connection));
                server.app.truth.keep(size_of_val(&handles[0]));
            }
            "joinset" => {
                running.spawn(connection);
            }
            _ => drop(tokio::spawn(connection)),
        }
    }
}

async fn run(args: Args) {
    let truth = Truth::start(&args);
    let mut config = server_config(&args);
    sessions::configure(&mut config, args.mode.name, truth);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind(args.listen).await;
    let listener = listener.unwrap_or_else(|e| die(format_args!("{}: {e}", args.listen)));
    let address = listener.local_addr().unwrap_or_else(|e| die(e));
    let app = routes::Inner::new(&args, truth);
    let server = Server {
        app: app.clone(),
        router: routes::router(app.clone()),
        acceptor: TlsAcceptor::from(Arc::new(config)),
        connections: Connections::new(args.mode.name, truth),
    };
    let (Ok(mut hangup), Ok(mut terminate)) = (
        signal(SignalKind::hangup()),
        signal(SignalKind::terminate()),
    ) else {
        die("signals cannot be caught")
    };
    fixture::ready(IMPLEMENTATION, &args, address);
    let accepting = tokio::spawn(accept(listener, server, args.mode.name));
    loop {
        tokio::select! {
            _ = hangup.recv() => { rotation::rotate(&app).await; }
            _ = terminate.recv() => break,
        }
    }
    accepting.abort();
}

fn main() {
    let args = Args::parse(MODES);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.workers)
        .enable_all()
        .build();
    let runtime = runtime.unwrap_or_else(|e| die(e));
    runtime.block_on(run(args));
    runtime.shutdown_timeout(Duration::from_secs(1));
}
