//! The routes, and who may use them.

use crate::certs::Decisions;
use crate::claims::Verifier;
use crate::keys::Keys;
use crate::rotation::{self, KeyStores};
use crate::uploads;
use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION, request::Parts};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fixture::{Args, Truth};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// The client's certificate, as DER: an extension of each request.
#[derive(Clone)]
pub struct PeerCert(pub Arc<[u8]>);

pub struct Inner {
    pub truth: &'static Truth,
    pub certs: Decisions,
    pub keys: Keys,
    pub claims: Verifier,
    pub stores: KeyStores,
    pub forgets_uploads: bool,
}

pub type App = Arc<Inner>;

impl Inner {
    pub fn new(args: &Args, truth: &'static Truth) -> App {
        Arc::new(Self {
            truth,
            certs: Decisions::new(args, truth),
            keys: Keys::new(args, truth),
            claims: Verifier::new(args, truth),
            stores: KeyStores::new(args, truth),
            forgets_uploads: args.mode.name == "park",
        })
    }
}

/// Anything that is wrong with a key or a token.
pub struct Forbidden;

impl IntoResponse for Forbidden {
    fn into_response(self) -> Response {
        (
            StatusCode::FORBIDDEN,
            Json(json!({"error": "key or token refused"})),
        )
            .into_response()
    }
}

/// Who asks.  KEEP: what the mode keeps of a caller is kept; otherwise it is only worked out.
pub struct Caller<const KEEP: bool> {
    subject: String,
    owner: Option<String>,
    account: Option<String>,
}

/// What is there but cannot be a token is a bad one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    Some(value.strip_prefix("Bearer ").unwrap_or_default())
}

fn api_key(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get("x-api-key")?.to_str().unwrap_or_default())
}

impl<const KEEP: bool> FromRequestParts<App> for Caller<KEEP> {
    type Rejection = Forbidden;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Forbidden> {
        let cert = parts.extensions.get::<PeerCert>().ok_or(Forbidden)?;
        let owner = app.keys.resolve(api_key(&parts.headers), KEEP)?;
        let claims = app.claims.resolve(bearer(&parts.headers), KEEP)?;
        let decision = app.certs.decide(cert, KEEP)?;
        if !decision.scopes.iter().any(|scope| scope == "read") {
            return Err(Forbidden);
        }
        Ok(Self {
            subject: decision.subject.clone(),
            owner: owner.map(|id| app.stores.owner_of(&id)),
            account: claims.map(|claims| claims.sub.clone()),
        })
    }
}

impl<const KEEP: bool> Caller<KEEP> {
    fn answer(self) -> Json<Value> {
        Json(json!({"subject": self.subject, "owner": self.owner, "account": self.account}))
    }
}

/// Sees a client that goes away: the request's future is then dropped where it stands.
struct Watch<'a> {
    truth: &'a Truth,
    answered: bool,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.truth.saw_aborted();
        }
    }
}

async fn watch(State(app): State<App>, request: Request, next: Next) -> Response {
    app.truth.saw_request();
    let mut watch = Watch {
        truth: app.truth,
        answered: false,
    };
    let response = next.run(request).await;
    watch.answered = true;
    response
}

async fn whoami(caller: Caller<true>) -> Json<Value> {
    caller.answer()
}

async fn clean(caller: Caller<false>) -> Json<Value> {
    caller.answer()
}

/// Reads all, and remembers nothing of it.
async fn body(
    State(app): State<App>,
    _: Caller<true>,
    mut body: Body,
) -> Result<Json<Value>, StatusCode> {
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            app.truth.saw_aborted();
            return Err(StatusCode::BAD_REQUEST);
        };
        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
    Ok(Json(json!({"bytes": bytes})))
}

async fn park(
    State(app): State<App>,
    _: Caller<true>,
    body: Body,
) -> Result<Json<Value>, StatusCode> {
    let bytes = if app.forgets_uploads {
        uploads::parked(app.truth, body).await
    } else {
        uploads::bounded(app.truth, body).await
    };
    Ok(Json(json!({"bytes": bytes?})))
}

async fn rotate(State(app): State<App>) -> Json<Value> {
    Json(json!({"rotation": rotation::rotate(&app).await}))
}

pub fn router(app: App) -> Router {
    Router::new()
        .route("/whoami", get(whoami))
        .route("/work", get(whoami))
        .route("/clean", get(clean))
        .route("/body", post(body))
        .route("/ignore", post(whoami))
        .route("/park", post(park))
        .route("/rotate", post(rotate))
        .layer(from_fn_with_state(Arc::clone(&app), watch))
        .with_state(app)
}
