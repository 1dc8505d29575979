//! Tokens, and what is remembered so that they need not be verified again.

use crate::routes::Forbidden;
use fixture::jwt::{Checker, Claims};
use fixture::{Args, Needs, Truth};
use moka::sync::Cache;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// By token, never cleared, since a token is sent more than once.
static VERIFIED: LazyLock<Mutex<HashMap<String, Arc<Claims>>>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The same without a lock.
    static OF_THREAD: RefCell<HashMap<String, Arc<Claims>>> = RefCell::default();
}

type Fingerprint = [u8; 32];

/// At most so many, and each no longer than it is valid.
struct Bounded {
    cap: usize,
    entries: HashMap<Fingerprint, (Instant, usize, Arc<Claims>)>,
}

struct UntilExpiry {
    ttl: Duration,
}

enum Memory {
    Nothing,
    Map,
    ThreadLocal,
    Bounded(Mutex<Bounded>),
    Moka(Cache<Fingerprint, (usize, Arc<Claims>)>),
}

pub struct Verifier {
    checker: Option<Checker>,
    required: bool,
    ttl: Duration,
    memory: Memory,
    truth: &'static Truth,
}

fn remaining(claims: &Claims, ttl: Duration) -> Duration {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Duration::from_secs(claims.exp).saturating_sub(now).min(ttl)
}

fn fingerprint(token: &str) -> Fingerprint {
    let mut print = Fingerprint::default();
    print.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    print
}

impl moka::Expiry<Fingerprint, (usize, Arc<Claims>)> for UntilExpiry {
    fn expire_after_create(
        &self,
        _: &Fingerprint,
        (_, claims): &(usize, Arc<Claims>),
        _: Instant,
    ) -> Option<Duration> {
        Some(remaining(claims, self.ttl))
    }
}

impl Bounded {
    fn get(&mut self, print: &Fingerprint, truth: &Truth) -> Option<Arc<Claims>> {
        let (until, _, claims) = self.entries.get(print)?;
        if *until > Instant::now() {
            return Some(Arc::clone(claims));
        }
        self.remove(&print.clone(), truth);
        None
    }

    fn remove(&mut self, print: &Fingerprint, truth: &Truth) {
        if let Some((_, bytes, _)) = self.entries.remove(print) {
            truth.release(bytes);
        }
    }

    /// Makes room by taking out what ends first.
    fn insert(&mut self, print: Fingerprint, entry: (Instant, usize, Arc<Claims>), truth: &Truth) {
        self.remove(&print, truth);
        while self.entries.len() >= self.cap {
            let first = self.entries.iter().min_by_key(|(_, (until, ..))| *until);
            let Some(first) = first.map(|(print, _)| *print) else {
                break;
            };
            self.remove(&first, truth);
        }
        truth.keep(entry.1);
        self.entries.insert(print, entry);
    }
}

impl Verifier {
    pub fn new(args: &Args, truth: &'static Truth) -> Self {
        let memory = match args.mode.name {
            "claims-map" => Memory::Map,
            "claims-tls" => Memory::ThreadLocal,
            "claims-cache" => Memory::Bounded(Mutex::new(Bounded {
                cap: args.cap,
                entries: HashMap::new(),
            })),
            "claims-moka" => {
                let cache = Cache::builder()
                    .max_capacity(args.cap as u64)
                    .expire_after(UntilExpiry { ttl: args.ttl })
                    .eviction_listener(|_, (bytes, _), _| truth.release(bytes));
                Memory::Moka(cache.build())
            }
            _ => Memory::Nothing,
        };
        Self {
            checker: args.jwt_secret.as_deref().map(Checker::new),
            required: args.mode.needs == Needs::Jwt,
            ttl: args.ttl,
            memory,
            truth,
        }
    }

    /// A token that is not required is verified all the same, if there is a secret.
    pub fn resolve(
        &self,
        token: Option<&str>,
        keep: bool,
    ) -> Result<Option<Arc<Claims>>, Forbidden> {
        let (Some(token), Some(checker)) = (token, &self.checker) else {
            return if self.required {
                Err(Forbidden)
            } else {
                Ok(None)
            };
        };
        let known = if keep { self.recall(token) } else { None };
        let claims = if let Some(known) = known {
            known
        } else {
            let claims = Arc::new(checker.claims(token).ok_or(Forbidden)?);
            if keep {
                self.remember(token, &claims);
            }
            claims
        };
        self.truth.saw_jwt(token);
        Ok(Some(claims))
    }

    fn recall(&self, token: &str) -> Option<Arc<Claims>> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let known = match &self.memory {
            Memory::Nothing => None,
            Memory::Map => VERIFIED.lock().get(token).cloned(),
            Memory::ThreadLocal => OF_THREAD.with_borrow(|verified| verified.get(token).cloned()),
            Memory::Bounded(bounded) => bounded.lock().get(&fingerprint(token), self.truth),
            Memory::Moka(cache) => cache.get(&fingerprint(token)).map(|(_, claims)| claims),
        };
        known.filter(|claims| claims.exp > now)
    }

    fn remember(&self, token: &str, claims: &Arc<Claims>) {
        let kept = Arc::clone(claims);
        let bytes = 2 * token.len();
        match &self.memory {
            Memory::Nothing => {}
            Memory::Map => {
                if VERIFIED.lock().insert(token.to_owned(), kept).is_none() {
                    self.truth.keep(bytes);
                }
            }
            Memory::ThreadLocal => {
                let old = OF_THREAD.with_borrow_mut(|all| all.insert(token.to_owned(), kept));
                if old.is_none() {
                    self.truth.keep(bytes);
                }
            }
            Memory::Bounded(bounded) => {
                let until = Instant::now() + remaining(claims, self.ttl);
                bounded
                    .lock()
                    .insert(fingerprint(token), (until, bytes, kept), self.truth);
            }
            Memory::Moka(cache) => {
                self.truth.keep(bytes);
                cache.insert(fingerprint(token), (bytes, kept));
            }
        }
    }
}
