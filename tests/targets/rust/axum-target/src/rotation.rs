//! The store of key records that is exchanged as a whole: by POST /rotate, or SIGHUP.

use crate::routes::{App, Inner};
use arc_swap::ArcSwap;
use fixture::{Args, Truth};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

/// Where it is not what the mode is about.
const FEW: usize = 16;

/// Bytes.
const POLICY: usize = 488;

struct Record {
    owner: String,
    /// As the database has it: of a size that an allocator does not round up by much.
    #[allow(dead_code)]
    policy: String,
    #[allow(dead_code)]
    scopes: &'static [&'static str],
    #[allow(dead_code)]
    secret: [u8; 32],
}

struct Store {
    generation: u64,
    records: HashMap<String, Record>,
}

pub struct KeyStores {
    n: usize,
    current: ArcSwap<Store>,
    /// For a way back that nobody has needed yet.
    history: Option<Mutex<Vec<Arc<Store>>>>,
    truth: &'static Truth,
}

fn name_of(number: usize) -> String {
    format!("key-{number:08}")
}

impl Store {
    /// As it would be read from a database.
    fn load(generation: u64, n: usize) -> Self {
        let record = |number: usize| Record {
            owner: format!("customer {number} of generation {generation}"),
            policy: "p".repeat(POLICY),
            scopes: &["read", "write"],
            secret: [number.to_le_bytes()[0]; 32],
        };
        Self {
            generation,
            records: (0..n).map(|i| (name_of(i), record(i))).collect(),
        }
    }

    fn bytes(&self) -> usize {
        let of_record = |(name, record): (&String, &Record)| {
            size_of::<(String, Record)>() + name.len() + record.owner.len() + record.policy.len()
        };
        self.records.iter().map(of_record).sum()
    }
}

impl KeyStores {
    pub fn new(args: &Args, truth: &'static Truth) -> Self {
        let n = if args.mode.name.starts_with("rotate-") {
            args.cap
        } else {
            FEW
        };
        Self {
            n,
            current: ArcSwap::from_pointee(Store::load(0, n)),
            history: (args.mode.name == "rotate-keep").then(Mutex::default),
            truth,
        }
    }

    /// What the store has of a key, under the number that it has there.
    pub fn owner_of(&self, id: &str) -> String {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let number = hasher.finish() as usize % self.n;
        let store = self.current.load();
        store
            .records
            .get(&name_of(number))
            .map_or_else(String::new, |r| r.owner.clone())
    }

    fn exchange(&self) -> u64 {
        let generation = self.current.load().generation + 1;
        let old = self.current.swap(Arc::new(Store::load(generation, self.n)));
        if let Some(history) = &self.history {
            self.truth.keep(old.bytes());
            history.lock().push(old);
        }
        self.truth.saw_rotation();
        generation
    }
}

/// Returns how many there were.
pub async fn rotate(app: &App) -> u64 {
    let app: Arc<Inner> = Arc::clone(app);
    tokio::task::spawn_blocking(move || app.stores.exchange())
        .await
        .unwrap_or_default()
}
