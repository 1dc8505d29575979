//! What is kept of TLS sessions for clients that come back: nothing, 256 as rustls has it, or all.

use fixture::Truth;
use parking_lot::Mutex;
use rustls::server::{NoServerSessionStorage, ServerConfig, StoresServerSessions};
use std::collections::HashMap;
use std::sync::Arc;

/// Written so that no client ever needs a second full handshake: two tickets each, of clients that
/// mostly never use them.  (`ServerSessionMemoryCache::new(1_000_000)` is as bad, but takes its table
/// at the start; the first touch of its pages is then most of what one sees.)
struct Everyone {
    sessions: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    truth: &'static Truth,
}

impl std::fmt::Debug for Everyone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Everyone")
    }
}

impl StoresServerSessions for Everyone {
    fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        let bytes = id.len() + session.len();
        let old = self.sessions.lock().insert(id, session);
        if old.is_none() {
            self.truth.keep(bytes);
        }
        true
    }

    fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        self.sessions.lock().get(id).cloned()
    }

    fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let session = self.sessions.lock().remove(id)?;
        self.truth.release(id.len() + session.len());
        Some(session)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

pub fn configure(config: &mut ServerConfig, mode: &str, truth: &'static Truth) {
    match mode {
        "session-huge" => {
            let sessions = Mutex::default();
            config.session_storage = Arc::new(Everyone { sessions, truth });
        }
        "session-off" => config.session_storage = Arc::new(NoServerSessionStorage {}),
        _ => {}
    }
}
