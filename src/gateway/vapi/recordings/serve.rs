//! A recording over HTTP: whoever has an address that opens gets the sound, the side that it says, as it lies on the disk.

use bytes::Bytes;
use futures_util::{StreamExt, stream, stream::BoxStream};
use hyper::{
    StatusCode,
    header::{CONTENT_LENGTH, HeaderValue, LOCATION},
};
use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::{file::Reading, shelf::Shelf};
use crate::gateway::{
    Shared,
    answer::{Answer, Refused, streamed, typed},
    metrics::Refusal,
    query,
    route::find,
};

const NO_RECORDING: Refused = Refused {
    why: Refusal::NoRoute,
    field: "recording",
    message: "no such recording, or the address is not complete, or it is older than five minutes",
    fix: "ask for /vapi/{tenant}/call/{call}/mono-recording with the key of the tenant: it answers with a new address",
};

/// The sound of a call, for whoever has an address that opens.
pub(in crate::gateway) async fn serve(shared: &Shared, tenant: &str, call: &str, query: &str) -> Answer {
    let pairs = query::pairs(query);
    let Ok(tenant) = find(shared, tenant) else { return NO_RECORDING.answer() };
    let Some(sides) = shared.recordings.opens(tenant.id(), call, &pairs, Timestamp::now()) else {
        return NO_RECORDING.answer();
    };
    let Some(path) = Shelf::of(&tenant).and_then(|shelf| shelf.path(call)) else { return NO_RECORDING.answer() };
    match spawn_blocking(move || Reading::open(&path, sides)).await {
        Ok(Ok(reading)) => sent(reading),
        // It was erased since the address was given out.
        Ok(Err(_)) | Err(_) => NO_RECORDING.answer(),
    }
}

/// The way to an address that opens by itself.
pub(in crate::gateway) fn redirected(address: &str) -> Option<Answer> {
    // What does not fit into a header came in as the host of the request.
    let location = HeaderValue::from_str(address).ok()?;
    let mut answer = typed(StatusCode::FOUND, "text/plain", String::new());
    answer.headers_mut().insert(LOCATION, location);
    Some(answer)
}

fn sent(reading: Reading) -> Answer {
    let length = HeaderValue::from(reading.whole_bytes());
    let mut answer = streamed("audio/wav", pieces(reading));
    answer.headers_mut().insert(CONTENT_LENGTH, length);
    answer
}

/// A second at a time, as fast as it is taken. Where it cannot be read further it ends, and is shorter than was said.
fn pieces(reading: Reading) -> BoxStream<'static, Bytes> {
    let read = |mut reading: Reading| async move {
        let (piece, reading) = spawn_blocking(move || (reading.piece(), reading)).await.ok()?;
        match piece {
            Ok(piece) => Some((piece?, reading)),
            Err(error) => {
                tracing::warn!(%error, "a recording cannot be read to its end");
                None
            }
        }
    };
    stream::unfold(reading, read).boxed()
}
