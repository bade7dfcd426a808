//! Reading a body of a stranger: so many bytes, so much silence, so much time.

use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, timeout_at};

use apflow_core::{api::ApiError, code::Code};

use super::{HttpConfig, guard::Refusal};

/// The whole body, or why it was not read to its end.
pub(super) async fn read(
    config: &HttpConfig,
    headers: &HeaderMap,
    mut body: Body,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let most = config.body_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok())
        .and_then(|length| length.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most as u64) {
        return Err(too_large(most));
    }
    let mut read = BytesMut::new();
    loop {
        let patience = deadline.min(Instant::now() + config.body_idle);
        let frame = match timeout_at(patience, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Err(_))) => {
                let detail = "the body broke off or is not framed as HTTP says";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, detail));
            }
            Err(_) => {
                let detail = "the body did not come in time";
                return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, detail));
            }
        };
        // Trailers say nothing we use.
        if let Ok(data) = frame.into_data() {
            if read.len() + data.len() > most {
                return Err(too_large(most));
            }
            read.extend_from_slice(&data);
        }
    }
}

fn too_large(most: usize) -> Refusal {
    let detail = format!("the body is larger than {most} bytes");
    Refusal::of(ApiError::new(Code::TooLarge, detail).hint("submit the tasks in several requests"))
}
