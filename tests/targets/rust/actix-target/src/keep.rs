//! What a mode keeps of a request beyond its response.

use crate::MODES;
use actix_web::{rt, web};
use fixture::{Args, Truth};
use moka::sync::Cache;
use parking_lot::Mutex;
use ring::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a task of spawn-queue takes with it beside the key.
const PAYLOAD_BYTES: usize = 4 << 10;
/// A document of json-capture, where the request brings none.
const DOCUMENT_BYTES: usize = 64 << 10;

#[derive(Clone)]
pub struct KeyInfo {
    last_seen: Instant,
}

type KeyMap = Mutex<HashMap<String, KeyInfo>>;
type KeyHash = [u8; SHA256_OUTPUT_LEN];

enum Kind {
    Nothing,
    /// Of keys as they come, before they are checked: anyone can make it grow.
    AnyKey(KeyMap),
    Swept(KeyMap),
    Bounded(Cache<KeyHash, KeyInfo>),
    Queue {
        payload_bytes: usize,
    },
    Shared,
    Documents {
        bytes: usize,
    },
}

pub struct Keep {
    kind: Kind,
    ttl: Duration,
    truth: &'static Truth,
}

impl Keep {
    pub fn new(args: &Args, truth: &'static Truth) -> Self {
        let payload = |default| args.payload.unwrap_or(default);
        let kind = match args.mode.name {
            "none" => Kind::Nothing,
            "key-map" => Kind::AnyKey(KeyMap::default()),
            "key-cleanup" => Kind::Swept(KeyMap::default()),
            "key-moka" | "key-perworker" => Kind::Bounded(bounded(args, truth)),
            "spawn-queue" => Kind::Queue {
                payload_bytes: payload(PAYLOAD_BYTES),
            },
            "spawn-arc" => Kind::Shared,
            "json-capture" => Kind::Documents {
                bytes: payload(DOCUMENT_BYTES),
            },
            other => unreachable!("{other} of {MODES:?}"),
        };
        Self {
            kind,
            ttl: args.ttl,
            truth,
        }
    }

    /// Of a key that is not checked yet.
    pub fn before_check(&self, key: &str) {
        if let Kind::AnyKey(map) = &self.kind {
            self.remember(map, key);
        }
    }

    /// Of a request with a good key, and of the document that it brought.
    pub fn after_check(&self, key: &str, document: Option<web::Json<Value>>) {
        match &self.kind {
            Kind::Nothing | Kind::AnyKey(_) => {}
            Kind::Swept(map) => self.remember(map, key),
            Kind::Bounded(cache) => {
                self.truth.keep(size_of::<(KeyHash, KeyInfo)>());
                cache.insert(
                    hash(key),
                    KeyInfo {
                        last_seen: Instant::now(),
                    },
                );
            }
            Kind::Queue { payload_bytes } => {
                let own = (key.to_owned(), vec![b'x'; *payload_bytes]);
                self.hold_for_ttl(own.0.len() + own.1.len(), own);
            }
            Kind::Shared => {
                let key: Arc<str> = key.into();
                rt::spawn(async move { std::hint::black_box(key.len()) });
            }
            Kind::Documents { bytes } => {
                let document = document.unwrap_or_else(|| web::Json(made_document(*bytes)));
                self.hold_for_ttl(text_bytes(&document), document);
            }
        }
    }

    fn remember(&self, map: &KeyMap, key: &str) {
        let now = Instant::now();
        let mut map = map.lock();
        if let Some(info) = map.get_mut(key) {
            info.last_seen = now;
        } else {
            self.truth.keep(entry_bytes(key));
            map.insert(key.to_owned(), KeyInfo { last_seen: now });
        }
    }

    /// A task of its own has it until its time is over.
    fn hold_for_ttl(&self, bytes: usize, own: impl Sized + 'static) {
        let (truth, ttl) = (self.truth, self.ttl);
        truth.keep(bytes);
        rt::spawn(async move {
            rt::time::sleep(ttl).await;
            drop(own);
            truth.release(bytes);
        });
    }
}

/// Once for all workers, in key-cleanup: what was not seen for the time to live goes.
pub fn clean_up(keep: &web::Data<Keep>, args: &Args, truth: &'static Truth) {
    if !matches!(keep.kind, Kind::Swept(_)) {
        return;
    }
    let (keep, sweep, ttl) = (keep.clone(), args.sweep, args.ttl);
    rt::spawn(async move {
        loop {
            rt::time::sleep(sweep).await;
            let Kind::Swept(map) = &keep.kind else { return };
            map.lock().retain(|key, info| {
                let stays = info.last_seen.elapsed() < ttl;
                if !stays {
                    truth.release(entry_bytes(key));
                }
                stays
            });
        }
    });
}

fn bounded(args: &Args, truth: &'static Truth) -> Cache<KeyHash, KeyInfo> {
    Cache::builder()
        .max_capacity(args.cap as u64)
        .time_to_live(args.ttl)
        .eviction_listener(|_, _, _| truth.release(size_of::<(KeyHash, KeyInfo)>()))
        .build()
}

fn hash(key: &str) -> KeyHash {
    let mut hash = KeyHash::default();
    hash.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    hash
}

fn entry_bytes(key: &str) -> usize {
    size_of::<(String, KeyInfo)>() + key.len()
}

fn made_document(bytes: usize) -> Value {
    serde_json::json!({ "pad": "x".repeat(bytes) })
}

/// Of all strings in it.
fn text_bytes(document: &Value) -> usize {
    match document {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_bytes).sum(),
        Value::Object(members) => members.iter().map(|(k, v)| k.len() + text_bytes(v)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
