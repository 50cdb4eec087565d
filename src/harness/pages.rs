//! The harness page and its assets, embedded when tabfleet is built, and how files become HTTP responses.

use super::files::{Source, Stamp};
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use std::{borrow::Cow, path::Path};
use tokio::io::AsyncReadExt;

/// What esbuild made of harness-pages.
#[derive(rust_embed::RustEmbed)]
#[folder = "harness-pages/dist/"]
#[allow_missing = true]
struct Dist;

/// The page of a tab, by its path in the embedded folder.
pub(super) const PAGE: &str = "index.html";

/// Kept, but asked about each time: the answer is a 304 as long as the file is the same. Not `immutable`, because the
/// same address may lead to another version of tabfleet tomorrow, and a profile may live that long.
const REVALIDATE: &str = "no-cache";

/// Never asked about again: the address is the content's hash.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// How much of a model file is read at a time, in bytes.
const CHUNK: usize = 1 << 20;

/// Whether this build has the harness page in it.
pub(super) fn are_embedded() -> bool {
    Dist::get(PAGE).is_some()
}

/// An embedded file, without a copy of it.
pub(super) fn embedded(path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Dist::get(path) else {
        return not_found("no such file");
    };
    let etag = file.metadata.sha256_hash().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let known = [
        (header::ETAG, format!("\"{etag}\"")),
        (header::CACHE_CONTROL, REVALIDATE.to_owned()),
        (header::CONTENT_TYPE, content_type(path).to_owned()),
    ];
    if has(request, &etag) {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    let body = match file.data {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => bytes.into(),
    };
    (known, body).into_response()
}

/// A published model file, streamed when it lies on the disk.
pub(super) async fn model(sha256: &str, sources: Vec<Source>, bytes: u64, request: &HeaderMap) -> Response {
    let known = [(header::ETAG, format!("\"{sha256}\"")), (header::CACHE_CONTROL, IMMUTABLE.to_owned())];
    if has(request, sha256) {
        return (StatusCode::NOT_MODIFIED, known).into_response();
    }
    for source in sources {
        let body = match source {
            Source::Memory(bytes) => Body::from(bytes),
            Source::File(path, stamp) => match open(&path, stamp).await {
                Ok(body) => body,
                Err(error) => {
                    tracing::warn!("cannot serve the model file {}: {error}", path.display());
                    continue;
                }
            },
        };
        let what = [
            (header::CONTENT_LENGTH, bytes.to_string()),
            (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        ];
        return (known, what, body).into_response();
    }
    gone("the file has changed or is gone since it was published")
}

/// The module given as runtime, as it is on the disk now: whoever writes one wants to see the change on reload.
pub(super) async fn custom_runtime(path: &Path) -> Response {
    match tokio::fs::read(path).await {
        Ok(source) => {
            ([(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "text/javascript")], source).into_response()
        }
        Err(error) => {
            tracing::warn!("cannot read the runtime module {}: {error}", path.display());
            gone("the runtime module cannot be read any more")
        }
    }
}

/// Says what is not there now. Browsers take a 410 as for ever unless they are told otherwise, and the same content may be
/// published again.
fn gone(what: &'static str) -> Response {
    (StatusCode::GONE, [(header::CACHE_CONTROL, "no-store")], what).into_response()
}

/// Says what is not there.
pub(super) fn not_found(what: &'static str) -> Response {
    (StatusCode::NOT_FOUND, what).into_response()
}

async fn open(path: &Path, published: Stamp) -> std::io::Result<Body> {
    let file = tokio::fs::File::open(path).await?;
    if Stamp::of(&file.metadata().await?) != published {
        return Err(std::io::Error::other("it is not the file that was published"));
    }
    let chunks = futures::stream::try_unfold(file, |mut file| async move {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (chunk.freeze(), file)))
    });
    Ok(Body::from_stream(chunks))
}

/// Whether the client has the content with this tag (RFC 9110, section 13.1.2).
fn has(request: &HeaderMap, etag: &str) -> bool {
    let tags = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"') == etag)
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json" | "map") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
