//! An Actix server that is asked with API keys over mutual TLS, with the mistakes that such services
//! make with what they know of a key, and their remedies.

mod keep;
mod routes;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, Service as _};
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use fixture::keys::Checker;
use fixture::{Args, Mode, Needs, Truth, alloc, die, tls};
use keep::Keep;
use ring::digest::{SHA256, digest};
use rustls::HandshakeKind;
use std::any::Any;
use std::net::TcpListener;
use std::time::Duration;

#[global_allocator]
static HEAP: alloc::Counting = alloc::Counting;

const MODES: &[Mode] = &[
    Mode::pass("none", Needs::ApiKey),
    Mode::leak("key-map", "api_key", Needs::ApiKey),
    Mode::pass("key-moka", Needs::ApiKey),
    Mode::pass("key-cleanup", Needs::ApiKey),
    Mode::pass("key-perworker", Needs::ApiKey),
    Mode::leak("spawn-queue", "request", Needs::ApiKey),
    Mode::pass("spawn-arc", Needs::ApiKey),
    Mode::leak("json-capture", "request", Needs::ApiKey),
];

/// The version is that of Cargo.toml.
const IMPLEMENTATION: &str = "actix-web 4.18.1";

/// Longer than a client leaves a connection alone.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// What all requests need, whatever the mode.
struct Service {
    truth: &'static Truth,
    checker: Checker,
}

/// Of the client's certificate, in hex; connection data.
struct Fingerprint(String);

fn note_connection(stream: &dyn Any, data: &mut Extensions, truth: &Truth) {
    let Some(stream) = stream.downcast_ref::<TlsStream<TcpStream>>() else {
        return;
    };
    let (_, session) = stream.get_ref();
    truth.saw_handshake(session.handshake_kind() == Some(HandshakeKind::Resumed));
    if let Some([leaf, ..]) = session.peer_certificates() {
        truth.saw_cert(leaf);
        data.insert(Fingerprint(keep::hex(digest(&SHA256, leaf).as_ref())));
    }
}

async fn serve(args: &Args, truth: &'static Truth) -> std::io::Result<()> {
    let service = web::Data::new(Service {
        truth,
        checker: Checker::new(args.apikey_secret.as_deref().unwrap_or_default()),
    });
    let store = web::Data::new(Keep::new(args, truth));
    keep::clean_up(&store, args, truth);
    let listener = TcpListener::bind(args.listen)?;
    let address = listener.local_addr()?;
    let per_worker = (args.mode.name == "key-perworker").then(|| args.clone());
    let app = move || {
        // The mistake of that mode: this closure runs once for each worker.
        let store = per_worker.as_ref().map_or_else(
            || store.clone(),
            |args| web::Data::new(Keep::new(args, truth)),
        );
        App::new()
            .wrap_fn(move |request, next| {
                truth.saw_request();
                next.call(request)
            })
            .app_data(service.clone())
            .app_data(store)
            .configure(routes::configure)
    };
    let server = HttpServer::new(app)
        .workers(args.workers)
        .keep_alive(KEEP_ALIVE)
        .disable_signals()
        .on_connect(move |stream, data| note_connection(stream, data, truth))
        .listen_rustls_0_23(listener, tls::server_config(args))?
        .run();
    fixture::ready(IMPLEMENTATION, args, address);
    server.await
}

fn main() {
    let args = Args::parse(MODES);
    let truth = Truth::start(&args);
    if let Err(e) = actix_web::rt::System::new().block_on(serve(&args, truth)) {
        die(e);
    }
}
