//! API keys: who a key belongs to, and what is remembered of keys that were seen.

use crate::logs::Log;
use crate::routes::Forbidden;
use fixture::keys::{Checker, MAX};
use fixture::{Args, Needs, Truth};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the service looks up for a key.
#[derive(Clone, Serialize)]
pub struct Metadata {
    owner: String,
    scopes: Vec<String>,
    hits: u64,
    last_seen_s: u64,
}

/// By key, for the rate limits: never cleared, since customers are few.
static RESOLVED: LazyLock<RwLock<HashMap<String, Metadata>>> = LazyLock::new(RwLock::default);

const RING: usize = 1000;

enum Memory {
    /// The extractor's owned and bounded copy, dropped with the request.
    Nothing,
    Map,
    Lru(Mutex<LruCache<[u8; 32], Metadata>>),
    /// Serialized records for the auditors, who have not come yet.
    Audit(Mutex<Vec<String>>),
    AuditRing(Mutex<VecDeque<String>>, usize),
    Log(Log),
}

pub struct Keys {
    checker: Option<Checker>,
    required: bool,
    memory: Memory,
    truth: &'static Truth,
}

fn metadata_of(key: &str) -> Metadata {
    let owner = key.split('.').next().unwrap_or_default();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Metadata {
        owner: owner.to_owned(),
        scopes: ["read", "write"].map(String::from).to_vec(),
        hits: 1,
        last_seen_s: now.as_secs(),
    }
}

fn record_of(key: &str, metadata: &Metadata) -> String {
    serde_json::json!({"event": "access", "key": key, "record": metadata}).to_string()
}

impl Keys {
    pub fn new(args: &Args, truth: &'static Truth) -> Self {
        let cap = NonZeroUsize::new(args.cap).unwrap_or(NonZeroUsize::MIN);
        let memory = match args.mode.name {
            "key-map" => Memory::Map,
            "key-lru" => Memory::Lru(Mutex::new(LruCache::new(cap))),
            "key-audit" => Memory::Audit(Mutex::default()),
            "key-audit-ring" => Memory::AuditRing(Mutex::default(), args.cap.min(RING)),
            "log-unbounded" => Memory::Log(Log::unbounded(args, truth)),
            "log-bounded" => Memory::Log(Log::bounded(args, truth)),
            _ => Memory::Nothing,
        };
        Self {
            checker: args.apikey_secret.as_deref().map(Checker::new),
            required: args.mode.needs == Needs::ApiKey,
            memory,
            truth,
        }
    }

    /// The key's owner.  A key that is not required is checked all the same, if there is a secret.
    pub fn resolve(&self, key: Option<&str>, keep: bool) -> Result<Option<String>, Forbidden> {
        let (Some(key), Some(checker)) = (key, &self.checker) else {
            return if self.required {
                Err(Forbidden)
            } else {
                Ok(None)
            };
        };
        if key.len() > MAX {
            return Err(Forbidden);
        }
        if keep && matches!(self.memory, Memory::Map) {
            // The mistake: whatever a client sends has a place here before it is known to be good.
            self.touch(key);
        }
        if !checker.is_good(key) {
            return Err(Forbidden);
        }
        self.truth.saw_key(key);
        let metadata = metadata_of(key);
        if keep {
            self.remember(key, &metadata);
        } else {
            self.pass_by(key, &metadata);
        }
        Ok(Some(metadata.owner))
    }

    fn touch(&self, key: &str) {
        let metadata = metadata_of(key);
        let bytes = key.len() + metadata.owner.len();
        let mut resolved = RESOLVED.write();
        if let Some(known) = resolved.get_mut(key) {
            known.hits += 1;
            known.last_seen_s = metadata.last_seen_s;
        } else {
            resolved.insert(key.to_owned(), metadata);
            self.truth.keep(bytes);
        }
    }

    fn remember(&self, key: &str, metadata: &Metadata) {
        match &self.memory {
            Memory::Nothing | Memory::Map => {}
            Memory::Lru(cache) => {
                let mut print = [0; 32];
                print.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
                self.truth.keep(print.len() + metadata.owner.len());
                if let Some((print, old)) = cache.lock().push(print, metadata.clone()) {
                    self.truth.release(print.len() + old.owner.len());
                }
            }
            Memory::Audit(records) => {
                let record = record_of(key, metadata);
                self.truth.keep(record.len());
                records.lock().push(record);
            }
            Memory::AuditRing(records, cap) => {
                let record = record_of(key, metadata);
                self.truth.keep(record.len());
                let mut records = records.lock();
                while records.len() >= *cap {
                    let Some(old) = records.pop_front() else {
                        break;
                    };
                    self.truth.release(old.len());
                }
                records.push_back(record);
            }
            Memory::Log(log) => log.write(log.entry(key)),
        }
    }

    /// As much work, and all of it dropped again.
    fn pass_by(&self, key: &str, metadata: &Metadata) {
        match &self.memory {
            Memory::Audit(_) | Memory::AuditRing(..) => drop(record_of(key, metadata)),
            Memory::Log(log) => drop(log.entry(key)),
            Memory::Nothing | Memory::Map | Memory::Lru(_) => {}
        }
    }
}
