//! The only way out of the host: guests' requests to vendors, and the host's own posts.
//!
//! A guest's request goes authorise → place secrets → check the address → connect to exactly that address →
//! send → cap → redact. Every redirect goes the same way again. Invariants: nothing is placed before the
//! destination is authorised; no name is connected to that was resolved anywhere but in `resolve`; an answer
//! reaches a guest only through the redactor.

mod address;
mod authorise;
mod forward;
mod hop;
mod options;
mod place;
pub(crate) mod redact;
mod request;
mod resolve;
mod sigv4;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use reqwest::{
    Client, Method,
    header::{HeaderMap, LOCATION},
};
use trunnion_core::{clock::Timestamp, hosts::HostPattern, manifest::Manifest};
use url::Url;

use self::{
    address::Guard,
    authorise::Destination,
    hop::{Hop, Whole},
    place::Placed,
};
pub(crate) use self::{
    authorise::Subject,
    hop::{ByteBudget, Held},
    place::reserved,
    request::{Auth, Incoming, Outgoing, Redirects, Sent},
};
pub use self::{
    forward::{Forward, Forwarded},
    options::{EgressOptions, Rewrite},
    resolve::{LookUp, LookingUp},
    sigv4::Signer,
};
use crate::{
    answer::{Answer, Failed},
    call::Call,
};

/// Why nothing usable came back. Every text says what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The host does not allow this request.
    #[error("{0}")]
    Denied(String),
    /// No connection was made: nothing reached the other side.
    #[error("{0}")]
    Unreachable(String),
    /// The request left, and no whole answer came in time.
    #[error("{0}")]
    TimedOut(String),
    /// The request left, and the connection broke before a whole answer.
    #[error("{0}")]
    Interrupted(String),
    /// The answer is larger than the limit.
    #[error("{0}")]
    TooLarge(String),
    /// The credential could not be obtained.
    #[error("{0}")]
    Unauthorized(String),
}

/// A broker that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// A setting is wrong.
    #[error("`egress.{setting}`: {message}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The HTTP client could not be made.
    #[error(
        "the HTTP client could not be made; check the system's certificate store (package `ca-certificates`)"
    )]
    Client(#[source] reqwest::Error),
}

/// The host's own request, to an address that its user chose: a stream to the ISV.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where to; https, or http where the operator allows the address itself.
    pub url: String,
    /// `POST` unless said otherwise.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Time for the whole exchange; the broker's own limit where longer.
    pub timeout: Duration,
}

/// What came back from a [`Post`]. Redirects are not followed: they are answers.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most [`EgressOptions::max_response_bytes`].
    pub body: Bytes,
    /// From the start to the whole answer.
    pub duration: Duration,
}

/// The host's own way out: the [`Broker`], or a stand-in where the network is simulated.
pub trait Outbound: std::fmt::Debug + Send + Sync + 'static {
    /// Sends one request and waits for the answer, as [`Broker::post`] describes it.
    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted, SendError>>;

    /// Sends one request on behalf of a connection, as [`Broker::post_for`] describes it. Denied by stand-ins for
    /// networks in which nobody issues tokens.
    fn post_for<'a>(
        &'a self,
        manifest: Arc<Manifest>,
        _parameters: &'a BTreeMap<String, String>,
        _post: Post,
    ) -> BoxFuture<'a, Result<Posted, SendError>> {
        let message = format!("nothing is sent for `{}` here", manifest.id);
        Box::pin(std::future::ready(Err(SendError::Denied(message))))
    }

    /// Sends one request of the ISV's through a connection, as [`Broker::forward`] describes it. Denied by stand-ins.
    fn forward(
        &self,
        manifest: Arc<Manifest>,
        _call: Call,
        _request: Forward,
    ) -> BoxFuture<'_, Result<Answer<Forwarded>, Failed>> {
        let message = format!("nothing is sent for `{}` here", manifest.id);
        Box::pin(std::future::ready(Err(forward::denied(message))))
    }
}

impl Outbound for Broker {
    fn post(&self, post: Post) -> BoxFuture<'_, Result<Posted, SendError>> {
        Box::pin(self.post(post))
    }

    fn post_for<'a>(
        &'a self,
        manifest: Arc<Manifest>,
        parameters: &'a BTreeMap<String, String>,
        post: Post,
    ) -> BoxFuture<'a, Result<Posted, SendError>> {
        Box::pin(self.post_for(manifest, parameters, post))
    }

    fn forward(
        &self,
        manifest: Arc<Manifest>,
        call: Call,
        request: Forward,
    ) -> BoxFuture<'_, Result<Answer<Forwarded>, Failed>> {
        Box::pin(async move { self.forward(manifest, &call, request).await })
    }
}

/// Sends for guests and for the host, within [`EgressOptions`].
#[derive(Debug)]
pub struct Broker {
    options: EgressOptions,
    guard: Arc<Guard>,
    granted: Option<Vec<HostPattern>>,
    rewrites: Vec<(HostPattern, Url)>,
    /// Connects to public addresses and those the operator allows.
    guarded: Client,
    /// Connects to those the operator allows only: for plain http.
    allowed_only: Client,
    /// Connects anywhere: for rewritten destinations, which the operator named.
    trusted: Client,
}

impl Broker {
    /// A broker that resolves names as the system does.
    pub fn new(options: EgressOptions) -> Result<Self, BrokerError> {
        Self::with_look_up(options, Arc::new(resolve::System))
    }

    /// A broker that resolves names with `look_up`; addresses are judged all the same.
    pub fn with_look_up(options: EgressOptions, look_up: Arc<dyn LookUp>) -> Result<Self, BrokerError> {
        let guard = Arc::new(Guard::new(&options)?);
        let client = |judge: resolve::Judge| {
            Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .connect_timeout(Duration::from_millis(options.connect_timeout_ms))
                .pool_idle_timeout(Duration::from_millis(options.idle_connection_ms))
                .pool_max_idle_per_host(options.max_idle_per_host)
                .user_agent(concat!("Trunnion/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(resolve::Checked::new(
                    Arc::clone(&look_up),
                    Arc::clone(&guard),
                    judge,
                )))
                .build()
                .map_err(BrokerError::Client)
        };
        Ok(Self {
            guarded: client(resolve::Judge::Public)?,
            allowed_only: client(resolve::Judge::AllowedOnly)?,
            trusted: client(resolve::Judge::Anything)?,
            granted: options.granted_patterns()?,
            rewrites: options.rewrite_rules()?,
            guard,
            options,
        })
    }

    /// Sends a guest's request and says what became of it.
    pub(crate) async fn send(
        &self,
        subject: &Subject,
        call: &Call,
        request: Outgoing,
        room: &ByteBudget,
    ) -> Sent {
        let mut held = room.hold();
        let started = crate::state::now();
        let mut exchange = request.exchange();
        let limit = Duration::from_millis(self.options.timeout_ms);
        let timeout = request.timeout.map_or(limit, |asked| asked.min(limit));
        let result =
            match tokio::time::timeout(timeout, Box::pin(self.follow(subject, call, request, &mut held)))
                .await
            {
                Ok(result) => result,
                Err(_) => Err(SendError::TimedOut(format!(
                    "`{}` did not answer within {} ms; whether it did what was asked is not known",
                    exchange.host,
                    timeout.as_millis()
                ))),
            };
        exchange.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(incoming) => exchange.status = Some(incoming.status),
            Err(error) => exchange.problem = Some(call.secrets.redactor().text(&error.to_string())),
        }
        Sent { result, exchange, held }
    }

    /// The hops of one request, each authorised anew.
    async fn follow(
        &self,
        subject: &Subject,
        call: &Call,
        request: Outgoing,
        room: &mut Held,
    ) -> Result<Incoming, SendError> {
        self.check_size(&request)?;
        let mut placed = Placed::new(subject, call, &request, |destination| {
            self.authorise(subject, &call.parameters, destination).map(|_| ())
        })?;
        for hops in 0.. {
            let destination = self.authorise(subject, &call.parameters, &placed.url)?;
            let whole = self.hop(&destination, &placed, request.at, room).await?;
            let (Redirects::Follow, Some(next)) = (request.redirects, whole.redirect()) else {
                return self.for_guest(call, whole);
            };
            if hops >= self.options.max_redirects {
                return Err(SendError::Denied(format!(
                    "`{}` redirected more than {} times (`egress.max_redirects`)",
                    placed.url.host_str().unwrap_or_default(),
                    self.options.max_redirects
                )));
            }
            placed.redirect(subject, call, whole.status, &next)?;
        }
        Err(SendError::Denied("the redirects have no end".to_owned()))
    }

    async fn hop(
        &self,
        destination: &Destination,
        placed: &Placed,
        at: Timestamp,
        room: &mut Held,
    ) -> Result<Whole, SendError> {
        let (client, forwarded_host) = match destination {
            Destination::Named => (&self.guarded, None),
            Destination::Rewritten { forwarded_host, .. } => (&self.trusted, Some(forwarded_host.as_str())),
        };
        let url = match destination {
            Destination::Named => placed.url.clone(),
            Destination::Rewritten { url, .. } => url.clone(),
        };
        Hop {
            client,
            url,
            name: placed.url.host_str().unwrap_or_default(),
            method: placed.method.clone(),
            headers: placed.headers(forwarded_host, at)?,
            body: placed.body.clone(),
            max_response_bytes: self.options.max_response_bytes,
            room,
        }
        .send()
        .await
    }

    /// Bytes of one request that are let out.
    pub(crate) const fn max_request_bytes(&self) -> usize {
        self.options.max_request_bytes
    }

    fn check_size(&self, request: &Outgoing) -> Result<(), SendError> {
        let limit = self.options.max_request_bytes;
        let headers: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = request.body.len().saturating_add(headers).saturating_add(request.url.len());
        if size > limit {
            return Err(SendError::Denied(format!(
                "the request has {size} bytes, {limit} are allowed; send it in parts, or raise `egress.max_request_bytes`"
            )));
        }
        Ok(())
    }

    /// What the guest gets to see of an answer.
    fn for_guest(&self, call: &Call, whole: Whole) -> Result<Incoming, SendError> {
        if let Some(encoding) = whole.content_encoding() {
            // Secrets cannot be found inside; none was asked for, since `accept-encoding` is the host's.
            return Err(SendError::Denied(format!(
                "the answer is encoded as `{encoding}`, which nobody asked for; the vendor must answer plainly"
            )));
        }
        let redactor = call.secrets.redactor();
        let headers = whole
            .headers
            .iter()
            .map(|(name, value)| {
                let value = redactor.bytes(value.as_bytes().to_vec());
                (name.as_str().to_owned(), String::from_utf8_lossy(&value).into_owned())
            })
            .collect();
        Ok(Incoming { status: whole.status, headers, body: redactor.bytes(whole.body) })
    }

    /// Sends the host's own request on behalf of a connection (to a token endpoint): as [`Broker::post`], and only to
    /// where a connector of this manifest may send with these connection parameters.
    pub async fn post_for(
        &self,
        manifest: Arc<Manifest>,
        parameters: &BTreeMap<String, String>,
        post: Post,
    ) -> Result<Posted, SendError> {
        let subject = Subject::new(manifest).map_err(|problem| SendError::Denied(problem.to_string()))?;
        let url = Url::parse(&post.url)
            .map_err(|error| SendError::Denied(format!("the destination is not a URL ({error})")))?;
        self.authorise(&subject, parameters, &url)?;
        self.post(post).await
    }

    /// Sends the host's own request: the same address checks, no manifest, no secrets, no redirects.
    ///
    /// Plain http is accepted only towards addresses that the operator allowed
    /// ([`EgressOptions::allow_loopback`], [`EgressOptions::allowed_networks`]).
    pub async fn post(&self, post: Post) -> Result<Posted, SendError> {
        let started = crate::state::now();
        let url = Url::parse(&post.url).map_err(|error| {
            SendError::Denied(format!(
                "the destination is not a URL ({error}); write it as `https://host/path`"
            ))
        })?;
        let (client, url, forwarded_host) = self.own_destination(url)?;
        let name = url.host_str().unwrap_or_default().to_owned();
        let mut headers = post.headers;
        if let Some(host) = forwarded_host {
            headers.insert("x-forwarded-host", host);
        }
        let limit = Duration::from_millis(self.options.timeout_ms).min(post.timeout);
        let mut room = ByteBudget::new(self.options.max_response_bytes).hold();
        let hop = Hop {
            client,
            url,
            name: &name,
            method: post.method,
            headers,
            body: post.body,
            max_response_bytes: self.options.max_response_bytes,
            room: &mut room,
        };
        let whole = tokio::time::timeout(limit, Box::pin(hop.send())).await.map_err(|_| {
            SendError::TimedOut(format!("`{name}` did not answer within {} ms", limit.as_millis()))
        })??;
        Ok(Posted {
            status: whole.status,
            headers: whole.headers,
            body: whole.body.into(),
            duration: started.elapsed(),
        })
    }
}

impl Whole {
    /// Where a redirect leads, as the vendor wrote it.
    fn redirect(&self) -> Option<String> {
        let redirects = matches!(self.status, 301 | 302 | 303 | 307 | 308);
        let location = self.headers.get(LOCATION).filter(|_| redirects)?;
        location.to_str().ok().map(str::to_owned)
    }

    fn content_encoding(&self) -> Option<String> {
        let value = self.headers.get(reqwest::header::CONTENT_ENCODING)?;
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (!text.is_empty() && !text.eq_ignore_ascii_case("identity")).then_some(text)
    }
}

#[cfg(test)]
mod tests;
