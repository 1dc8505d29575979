//! An access log that is shipped by a slow consumer.  Each entry is a closure that owns the policy
//! document of the caller's key.

use fixture::{Args, Truth};
use std::io::Write as _;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// How long the far end takes for an entry.
const SHIPPING: Duration = Duration::from_millis(100);
const PAYLOAD: usize = 64 * 1024;
const BOUND: usize = 100;

pub struct Entry {
    bytes: usize,
    write: Box<dyn FnOnce(&mut std::io::Sink) + Send>,
}

enum Sender {
    Unbounded(mpsc::UnboundedSender<Entry>),
    Bounded(mpsc::Sender<Entry>),
}

pub struct Log {
    sender: Sender,
    payload: usize,
    truth: &'static Truth,
}

async fn ship(entry: Entry, truth: &Truth) {
    (entry.write)(&mut std::io::sink());
    truth.release(entry.bytes);
    sleep(SHIPPING).await;
}

impl Log {
    pub fn unbounded(args: &Args, truth: &'static Truth) -> Self {
        let (sender, mut entries) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(entry) = entries.recv().await {
                ship(entry, truth).await;
            }
        });
        Self::new(Sender::Unbounded(sender), args, truth)
    }

    pub fn bounded(args: &Args, truth: &'static Truth) -> Self {
        let (sender, mut entries) = mpsc::channel(args.cap.min(BOUND));
        tokio::spawn(async move {
            while let Some(entry) = entries.recv().await {
                ship(entry, truth).await;
            }
        });
        Self::new(Sender::Bounded(sender), args, truth)
    }

    fn new(sender: Sender, args: &Args, truth: &'static Truth) -> Self {
        Self {
            sender,
            payload: args.payload.unwrap_or(PAYLOAD),
            truth,
        }
    }

    pub fn entry(&self, key: &str) -> Entry {
        let statement = format!("allow {key} to read /work;\n");
        let mut policy = String::with_capacity(self.payload + statement.len());
        while policy.len() < self.payload {
            policy.push_str(&statement);
        }
        Entry {
            bytes: policy.len(),
            write: Box::new(move |out| {
                // Nothing can be done for a log that cannot be written.
                let _ = out.write_all(policy.as_bytes());
            }),
        }
    }

    /// Where there is no more room, the bounded log leaves the entry out.
    pub fn write(&self, entry: Entry) {
        let bytes = entry.bytes;
        self.truth.keep(bytes);
        let written = match &self.sender {
            Sender::Unbounded(sender) => sender.send(entry).is_ok(),
            Sender::Bounded(sender) => sender.try_send(entry).is_ok(),
        };
        if !written {
            self.truth.release(bytes);
        }
    }
}
