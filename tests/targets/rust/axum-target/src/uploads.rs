//! Uploads: a task receives the body, and holds it until the handler has asked elsewhere whether it
//! may be stored.

use axum::body::Body;
use axum::http::StatusCode;
use fixture::Truth;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// How long the question elsewhere takes.
const QUOTA: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(5);
const LARGEST: usize = 8 << 20;
/// The store takes whole blocks.
const BLOCK: usize = 4096;

/// Uploads that wait for their handler's word.
static PENDING: LazyLock<Mutex<HashMap<u64, oneshot::Sender<()>>>> = LazyLock::new(Mutex::default);
static LAST: AtomicU64 = AtomicU64::new(0);

type Received = Result<usize, StatusCode>;

struct Upload {
    id: u64,
    received: oneshot::Receiver<Received>,
    task: AbortHandle,
}

async fn read(mut body: Body, content: &mut Vec<u8>) -> Received {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        let Ok(part) = frame.into_data() else {
            continue;
        };
        if content.len() + part.len() > LARGEST {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        content.extend_from_slice(&part);
    }
    Ok(content.len())
}

fn begin(truth: &Truth, body: Body) -> Upload {
    let id = LAST.fetch_add(1, Relaxed);
    let (commit, committed) = oneshot::channel();
    let (tell, received) = oneshot::channel();
    truth.keep(BLOCK);
    PENDING.lock().insert(id, commit);
    let task = tokio::spawn(async move {
        let mut content = Vec::new();
        let outcome = read(body, &mut content).await;
        content.resize(content.len().next_multiple_of(BLOCK).max(BLOCK), 0);
        // Who has gone away is told nothing.
        let _ = tell.send(outcome);
        if committed.await.is_ok() {
            // Here it would be stored.
            drop(content);
        }
    });
    Upload {
        id,
        received,
        task: task.abort_handle(),
    }
}

fn commit(truth: &Truth, id: u64) {
    if let Some(commit) = PENDING.lock().remove(&id) {
        truth.release(BLOCK);
        let _ = commit.send(());
    }
}

async fn outcome(truth: &Truth, received: &mut oneshot::Receiver<Received>) -> Received {
    let received = received
        .await
        .unwrap_or(Err(StatusCode::INTERNAL_SERVER_ERROR));
    if received == Err(StatusCode::BAD_REQUEST) {
        truth.saw_aborted();
    }
    let bytes = received?;
    sleep(QUOTA).await;
    Ok(bytes)
}

/// The mistake: a client that goes away ends this before its last lines, and nobody ever says to
/// the upload's task that it need not wait any more.
pub async fn parked(truth: &Truth, body: Body) -> Received {
    let mut upload = begin(truth, body);
    let bytes = outcome(truth, &mut upload.received).await?;
    commit(truth, upload.id);
    Ok(bytes)
}

struct Tidy<'a> {
    truth: &'a Truth,
    upload: Upload,
}

impl Drop for Tidy<'_> {
    fn drop(&mut self) {
        commit(self.truth, self.upload.id);
        self.upload.task.abort();
    }
}

/// The remedy: however this ends, and be it that the time is up, the upload ends too.
pub async fn bounded(truth: &Truth, body: Body) -> Received {
    let mut tidy = Tidy {
        truth,
        upload: begin(truth, body),
    };
    let bytes = outcome(truth, &mut tidy.upload.received);
    timeout(PATIENCE, bytes)
        .await
        .unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
}
