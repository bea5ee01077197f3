//! `wasi:http` as a client library of another language uses it.

use trunnion_sdk::prelude::*;
use wasip2::http::{
    outgoing_handler,
    types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme},
};

#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Fetch {
    method: String,
    /// `https` where absent.
    scheme: Option<String>,
    authority: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<String>,
    /// Whether the body is left unfinished.
    #[serde(default)]
    unfinished: bool,
    timeout_ms: Option<u64>,
    /// What to look for in memory, as hex of each byte xor 0x5a.
    #[serde(default)]
    masked: Vec<String>,
}

/// One exchange; the error is the name of what went wrong.
pub(crate) fn fetch(input: &Fetch) -> std::result::Result<Value, String> {
    let headers: Vec<_> =
        input.headers.iter().map(|(name, value)| (name.clone(), value.clone().into_bytes())).collect();
    let headers = Fields::from_list(&headers).map_err(|error| format!("{error:?}"))?;
    let request = OutgoingRequest::new(headers);
    let set =
        |done: std::result::Result<(), ()>, what: &str| done.map_err(|()| format!("{what} was refused"));
    set(request.set_method(&Method::Other(input.method.clone())), "the method")?;
    let scheme = match input.scheme.as_deref() {
        Some("http") => Scheme::Http,
        _ => Scheme::Https,
    };
    set(request.set_scheme(Some(&scheme)), "the scheme")?;
    set(request.set_authority(Some(&input.authority)), "the authority")?;
    set(request.set_path_with_query(Some(&input.path)), "the path")?;
    let body = request.body().map_err(|()| "the body was refused".to_owned())?;
    let options = RequestOptions::new();
    let timeout = input.timeout_ms.map(|ms| ms * 1_000_000);
    set(options.set_first_byte_timeout(timeout), "the time-out")?;
    // As streaming clients do: the answer is awaited while the body is still being written.
    let answer = outgoing_handler::handle(request, Some(options)).map_err(|code| format!("{code:?}"))?;
    if let Some(text) = &input.body {
        let stream = body.write().map_err(|()| "the body's stream was refused".to_owned())?;
        for part in text.as_bytes().chunks(4096) {
            stream.blocking_write_and_flush(part).map_err(|error| error.to_string())?;
        }
    }
    if input.unfinished {
        drop(body);
    } else {
        OutgoingBody::finish(body, None).map_err(|code| format!("{code:?}"))?;
    }
    answer.subscribe().block();
    let answer = answer.get().ok_or("nothing came")?.map_err(|()| "taken twice")?;
    let answer = answer.map_err(|code| format!("{code:?}"))?;
    let headers: Vec<_> = answer
        .headers()
        .entries()
        .into_iter()
        .map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned()))
        .collect();
    let body = answer.consume().map_err(|()| "the body was consumed before")?;
    let stream = body.stream().map_err(|()| "the stream was taken before")?;
    let mut bytes = Vec::new();
    while let Ok(more) = stream.blocking_read(65_536) {
        bytes.extend(more);
    }
    drop(stream);
    let trailers = IncomingBody::finish(body);
    trailers.subscribe().block();
    let found: Vec<_> = input.masked.iter().map(|masked| crate::memory::count(masked)).collect();
    Ok(json!({
        "status": answer.status(),
        "headers": headers,
        "body": String::from_utf8_lossy(&bytes),
        "found": found,
    }))
}

/// Keeps making header fields.
pub(crate) fn hoard() {
    let value = vec![b'x'; 1 << 20];
    let fields = Fields::new();
    for _ in 0..1_000 {
        if fields.append("x-hoard", &value).is_err() {
            return;
        }
    }
}
