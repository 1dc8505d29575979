//! What a client may do, worked out from its certificate, and what is remembered of that.

use crate::routes::{Forbidden, PeerCert};
use fixture::{Args, Truth};
use lru::LruCache;
use moka::sync::Cache;
use parking_lot::{Mutex, RwLock};
use ring::digest::{SHA256, digest};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

#[derive(Default)]
pub struct Decision {
    pub subject: String,
    pub scopes: Vec<String>,
}

struct Known {
    decision: Arc<Decision>,
    /// For the audit, one day.
    #[allow(dead_code)]
    der: Vec<u8>,
}

type Fingerprint = [u8; 32];

/// By certificate, in hex: never cleared, since certificates are few.
static KNOWN: LazyLock<RwLock<HashMap<String, Known>>> = LazyLock::new(RwLock::default);

pub enum Decisions {
    /// All that bear a certificate of the CA.
    Anyone,
    /// Worked out from the request's extension each time.
    PerRequest,
    Map(&'static Truth),
    Moka(Cache<Fingerprint, Arc<Decision>>, &'static Truth),
    Lru(
        Mutex<LruCache<Fingerprint, (Instant, Arc<Decision>)>>,
        Duration,
        &'static Truth,
    ),
}

pub fn subject_of(der: &[u8]) -> Option<String> {
    let (_, cert) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(cert.subject().to_string())
}

fn scopes() -> Vec<String> {
    ["read", "write"].map(String::from).to_vec()
}

fn work_out(der: &[u8]) -> Result<Arc<Decision>, Forbidden> {
    let subject = subject_of(der).ok_or(Forbidden)?;
    Ok(Arc::new(Decision {
        subject,
        scopes: scopes(),
    }))
}

fn size_of_decision(decision: &Decision) -> usize {
    size_of::<Fingerprint>() + decision.subject.len()
}

fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut print = Fingerprint::default();
    print.copy_from_slice(digest(&SHA256, der).as_ref());
    print
}

fn hex(der: &[u8]) -> String {
    der.iter()
        .fold(String::with_capacity(2 * der.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

impl Decisions {
    pub fn new(args: &Args, truth: &'static Truth) -> Self {
        match args.mode.name {
            "ext-cert" => Self::PerRequest,
            "cert-map" => Self::Map(truth),
            "cert-moka" => {
                let cache = Cache::builder()
                    .max_capacity(args.cap as u64)
                    .time_to_live(args.ttl)
                    .eviction_listener(|_, decision: Arc<Decision>, _| {
                        truth.release(size_of_decision(&decision));
                    });
                Self::Moka(cache.build(), truth)
            }
            "cert-lru" => {
                let cap = NonZeroUsize::new(args.cap).unwrap_or(NonZeroUsize::MIN);
                Self::Lru(Mutex::new(LruCache::new(cap)), args.ttl, truth)
            }
            _ => Self::Anyone,
        }
    }

    pub fn decide(&self, cert: &PeerCert, keep: bool) -> Result<Arc<Decision>, Forbidden> {
        let der = &cert.0;
        match self {
            Self::Anyone => Ok(Arc::new(Decision {
                subject: "client".into(),
                scopes: scopes(),
            })),
            _ if !keep => work_out(der),
            Self::PerRequest => work_out(der),
            Self::Map(truth) => by_map(der, truth),
            Self::Moka(cache, truth) => {
                let print = fingerprint(der);
                if let Some(decision) = cache.get(&print) {
                    return Ok(decision);
                }
                let decision = work_out(der)?;
                truth.keep(size_of_decision(&decision));
                cache.insert(print, Arc::clone(&decision));
                Ok(decision)
            }
            Self::Lru(cache, ttl, truth) => by_lru(cache, *ttl, der, truth),
        }
    }
}

fn by_map(der: &[u8], truth: &Truth) -> Result<Arc<Decision>, Forbidden> {
    let name = hex(der);
    if let Some(known) = KNOWN.read().get(&name) {
        return Ok(Arc::clone(&known.decision));
    }
    let decision = work_out(der)?;
    let known = Known {
        decision: Arc::clone(&decision),
        der: der.to_vec(),
    };
    let bytes = name.len() + der.len() + decision.subject.len();
    if KNOWN.write().insert(name, known).is_none() {
        truth.keep(bytes);
    }
    Ok(decision)
}

fn by_lru(
    cache: &Mutex<LruCache<Fingerprint, (Instant, Arc<Decision>)>>,
    ttl: Duration,
    der: &[u8],
    truth: &Truth,
) -> Result<Arc<Decision>, Forbidden> {
    let print = fingerprint(der);
    if let Some((since, decision)) = cache.lock().get(&print)
        && since.elapsed() < ttl
    {
        return Ok(Arc::clone(decision));
    }
    let decision = work_out(der)?;
    truth.keep(size_of_decision(&decision));
    let out = cache
        .lock()
        .push(print, (Instant::now(), Arc::clone(&decision)));
    if let Some((_, (_, old))) = out {
        truth.release(size_of_decision(&old));
    }
    Ok(decision)
}
