//! Which clients are connected: a table for the operators' status page.

use crate::certs::subject_of;
use crate::routes::PeerCert;
use fixture::Truth;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

#[allow(dead_code)]
struct Meta {
    cert: Vec<u8>,
    subject: String,
    peer: SocketAddr,
    opened: SystemTime,
}

#[derive(Default)]
struct Table {
    last: u64,
    open: HashMap<u64, Meta>,
}

#[derive(Clone)]
pub struct Connections {
    table: Option<Arc<Mutex<Table>>>,
    truth: &'static Truth,
    leaves: bool,
}

/// A connection's place in the table, for as long as this lives.
pub struct Entry {
    connections: Connections,
    id: u64,
}

impl Meta {
    fn bytes(&self) -> usize {
        size_of::<Self>() + self.cert.len() + self.subject.len()
    }
}

impl Connections {
    pub fn new(mode: &str, truth: &'static Truth) -> Self {
        let table = mode.starts_with("conn-registry").then(Arc::default);
        Self {
            table,
            truth,
            leaves: mode == "conn-registry-drop",
        }
    }

    /// The mistake of conn-registry is that nothing takes an entry out when its connection ends.
    pub fn enter(&self, cert: &PeerCert, peer: SocketAddr) -> Option<Entry> {
        let table = self.table.as_ref()?;
        let meta = Meta {
            cert: cert.0.to_vec(),
            subject: subject_of(&cert.0).unwrap_or_default(),
            peer,
            opened: SystemTime::now(),
        };
        self.truth.keep(meta.bytes());
        let mut table = table.lock();
        table.last += 1;
        let id = table.last;
        table.open.insert(id, meta);
        self.leaves.then(|| Entry {
            connections: self.clone(),
            id,
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(table) = &self.connections.table else {
            return;
        };
        if let Some(meta) = table.lock().open.remove(&self.id) {
            self.connections.truth.release(meta.bytes());
        }
    }
}
