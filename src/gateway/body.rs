//! The body of a request, whole: bounded in size and in time.

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::time::timeout;

use super::{answer::Refused, limits, metrics::Refusal};

const LATE: Refused = Refused {
    why: Refusal::BadRequest,
    field: "body",
    message: "the request did not arrive in time",
    fix: "send the whole request at once",
};

/// Reads it. `unreadable`: what is said when it is too long, or breaks off.
pub(super) async fn whole(body: Incoming, bytes_max: usize, unreadable: Refused) -> Result<Bytes, Refused> {
    let read = timeout(limits::REQUEST_WAIT, Limited::new(body, bytes_max).collect()).await;
    Ok(read.map_err(|_late| LATE)?.map_err(|_broken| unreadable)?.to_bytes())
}
