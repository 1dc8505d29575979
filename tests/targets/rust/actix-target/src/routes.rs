//! What can be asked for.

use crate::keep::Keep;
use crate::{Fingerprint, Service};
use actix_web::error::ErrorForbidden;
use actix_web::rt::time::sleep;
use actix_web::web::{Data, Json, JsonConfig, Payload, ServiceConfig, get, post};
use actix_web::{FromRequest, HttpRequest, HttpResponse, dev};
use fixture::{Truth, keys};
use futures_util::StreamExt as _;
use serde_json::Value;
use std::future::{Ready, ready};
use std::time::Duration;

/// The longest that /park waits.
const PARKED_FOR: Duration = Duration::from_secs(5);
const DOCUMENT_MAX: usize = 1 << 20;

/// What X-API-Key says, not checked; 403 where that is missing or longer than any key.
struct Presented(String);

impl FromRequest for Presented {
    type Error = actix_web::Error;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let header = request
            .headers()
            .get("X-API-Key")
            .and_then(|value| value.to_str().ok());
        ready(match header {
            Some(key) if key.len() <= keys::MAX => Ok(Self(key.to_owned())),
            _ => Err(ErrorForbidden("no key\n")),
        })
    }
}

/// The client is gone before there is an answer.
struct AbortedUnlessDone {
    truth: &'static Truth,
    done: bool,
}

impl AbortedUnlessDone {
    fn new(service: &Service) -> Self {
        Self {
            truth: service.truth,
            done: false,
        }
    }

    fn done(mut self) {
        self.done = true;
    }
}

impl Drop for AbortedUnlessDone {
    fn drop(&mut self) {
        if !self.done {
            self.truth.saw_aborted();
        }
    }
}

pub fn configure(config: &mut ServiceConfig) {
    config
        .app_data(JsonConfig::default().limit(DOCUMENT_MAX))
        .route("/", get().to(work))
        .route("/work", get().to(work))
        .route("/work", post().to(work_on_document))
        .route("/clean", get().to(clean))
        .route("/whoami", get().to(whoami))
        .route("/body", post().to(body))
        .route("/ignore", post().to(ok))
        .route("/park", post().to(park))
        .route("/rotate", post().to(rotate));
}

async fn ok() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

fn check(service: &Service, key: &str) -> actix_web::Result<()> {
    if !service.checker.is_good(key) {
        return Err(ErrorForbidden("no such key\n"));
    }
    service.truth.saw_key(key);
    Ok(())
}

async fn work(
    Presented(key): Presented,
    service: Data<Service>,
    keep: Data<Keep>,
) -> actix_web::Result<HttpResponse> {
    keep.before_check(&key);
    check(&service, &key)?;
    keep.after_check(&key, None);
    Ok(ok().await)
}

async fn work_on_document(
    Presented(key): Presented,
    service: Data<Service>,
    keep: Data<Keep>,
    document: Json<Value>,
) -> actix_web::Result<HttpResponse> {
    keep.before_check(&key);
    check(&service, &key)?;
    keep.after_check(&key, Some(document));
    Ok(ok().await)
}

async fn clean(
    Presented(key): Presented,
    service: Data<Service>,
) -> actix_web::Result<HttpResponse> {
    check(&service, &key)?;
    Ok(ok().await)
}

async fn whoami(request: HttpRequest) -> HttpResponse {
    let who = request
        .conn_data::<Fingerprint>()
        .map_or("", |fingerprint| &fingerprint.0);
    HttpResponse::Ok()
        .content_type("text/plain")
        .body(format!("{who}\n"))
}

async fn body(mut payload: Payload, service: Data<Service>) -> actix_web::Result<HttpResponse> {
    let aborted = AbortedUnlessDone::new(&service);
    let mut n_bytes = 0;
    while let Some(chunk) = payload.next().await {
        n_bytes += chunk?.len();
    }
    aborted.done();
    Ok(HttpResponse::Ok()
        .content_type("text/plain")
        .body(format!("{n_bytes}\n")))
}

async fn park(service: Data<Service>) -> HttpResponse {
    let aborted = AbortedUnlessDone::new(&service);
    sleep(PARKED_FOR).await;
    aborted.done();
    HttpResponse::GatewayTimeout().finish()
}

async fn rotate(service: Data<Service>) -> HttpResponse {
    service.truth.saw_rotation();
    ok().await
}
