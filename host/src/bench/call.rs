//! The scenario `call`: what entering the sandbox costs, as the same connector code with the same way out in the
//! sandbox, in a fresh and in a warm instance, and natively.
//!
//! Everything is on one thread, the vendor too, and the three take turns of a few milliseconds. The vendor is reached over
//! a real socket in all three; what the code itself takes natively, without any way out, is measured beside them,
//! so that the bounds on larger payloads do not profit from the socket's share.

use std::{collections::BTreeMap, path::PathBuf, rc::Rc, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::json;
use tokio::{runtime::Runtime, time::Instant};
use trunnion_connector_echo::{ACTION, Order, connector};
use trunnion_core::{
    id::{ConnectionId, IdSource, UserId},
    machine::idempotency_key,
    scope::{Environment, Scope},
};
use trunnion_sandbox::{
    Broker, Call as SandboxCall, CompileOptions, Connector, EgressOptions, Freshness, Options, Sandbox,
    Secrets, broker::Post,
};
use trunnion_sdk::{
    context::{Call as NativeCall, Context as NativeContext},
    host::{Host as NativeHost, Level},
    http::{Request, Response, SendError},
};

use super::{
    component::ECHO,
    options::Common,
    progress,
    report::{Budget, Form, Report, median_and_max, number},
    vendor::Vendor,
};
use crate::real::{SystemClock, SystemRandom};

/// About how many bytes the payloads have; the first is the one that the main budget is about.
const PAYLOADS: [(usize, &str); 3] = [(400, "0_4kb"), (4_000, "4kb"), (32_000, "32kb")];

/// Bounds in microseconds: over native at 0.4 KB, and for larger payloads so many times native and so much more.
const FRESH_OVER: f64 = 25.0;
const WARM_OVER: f64 = 6.0;
const LARGER_TIMES: f64 = 2.5;
const LARGER_OVER: f64 = 25.0;

/// Time for one call of the vendor.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The sandbox: the same connector code in a fresh instance, in a warm one, and natively.
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The echo connector's component; where absent, it is built from host/echo, here or in a folder above.
    #[arg(long, value_name = "PATH")]
    component: Option<PathBuf>,
    /// Turns of each.
    #[arg(long, value_name = "COUNT", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Calls of a turn.
    #[arg(long, value_name = "COUNT", default_value_t = 250, value_parser = clap::value_parser!(u32).range(1..))]
    calls: u32,
    #[command(flatten)]
    common: Common,
}

/// What is called, and how.
struct Bench {
    runtime: Rc<Runtime>,
    connector: Connector,
    broker: Arc<Broker>,
    secrets: Arc<Secrets>,
    scope: Scope,
    user: UserId,
    connection: ConnectionId,
    /// Kept running.
    _vendor: Vendor,
}

/// Microseconds of one call, by way.
#[derive(Clone, Copy, Debug)]
struct Micros {
    native: f64,
    fresh: f64,
    warm: f64,
    /// Natively, without a way out: reading, writing and reading again.
    code: f64,
}

/// The connector's host where it runs natively: the sandbox's own way out.
#[derive(Debug)]
struct Native {
    runtime: Rc<Runtime>,
    broker: Arc<Broker>,
}

/// The connector's host that answers at once.
#[derive(Debug)]
struct Echo;

impl Call {
    /// In which form the report is printed.
    pub(super) const fn form(&self) -> Form {
        self.common.form()
    }

    /// Measures, on a thread that does nothing else.
    pub(super) async fn run(self) -> Result<Report> {
        let component = ECHO.component(self.component.as_deref()).await?;
        let (rounds, calls) = (self.rounds, self.calls);
        let component = Bytes::from(component.bytes);
        let figures = tokio::task::spawn_blocking(move || {
            let bench = Bench::new(component)?;
            PAYLOADS.iter().map(|(bytes, _)| bench.measure(*bytes, rounds, calls)).collect::<Result<Vec<_>>>()
        });
        report(&figures.await??)
    }
}

impl Bench {
    fn new(component: Bytes) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let vendor = runtime.block_on(Vendor::start())?;
        let rewrite = format!("{}={}", ECHO.hosts, vendor.url());
        let rewrite = rewrite.parse().map_err(|error| anyhow!("the vendor's address: {error}"))?;
        let broker =
            Arc::new(Broker::new(EgressOptions { rewrites: vec![rewrite], ..EgressOptions::default() })?);
        // No command: compiled in this process, once.
        let options = Options { compile: CompileOptions::default(), ..Options::default() };
        let clock = Arc::new(SystemClock);
        let ids = IdSource::new(Arc::<SystemClock>::clone(&clock), Arc::new(SystemRandom));
        let sandbox = Sandbox::new(options, Arc::clone(&broker), clock, Arc::new(SystemRandom))?;
        let connector = runtime.block_on(sandbox.load(component)).context("loading the echo connector")?;
        let secrets = Secrets::new([("api_key".to_owned(), "key-of-the-bench".to_owned())]);
        Ok(Self {
            runtime: Rc::new(runtime),
            connector,
            broker,
            secrets: Arc::new(secrets.with_connection_scheme("key")),
            scope: Scope::new(ids.next(), Environment::Development),
            user: ids.next(),
            connection: ids.next(),
            _vendor: vendor,
        })
    }

    fn measure(&self, bytes: usize, rounds: u32, calls: u32) -> Result<Micros> {
        progress(&format!("calls with {:.1} KB", kilobytes(bytes)));
        let input = serde_json::to_string(&Order::of_about(bytes))?;
        let (mut native, mut fresh, mut warm, mut code) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let way_out =
            self.context(Rc::new(Native { runtime: Rc::clone(&self.runtime), broker: self.broker.clone() }));
        let at_once = self.context(Rc::new(Echo));
        // The first round makes connections and instances, and does not count.
        for round in 0..=rounds {
            let turn = [
                timed(calls, || natively(&way_out, &input))?,
                timed(calls, || self.sandboxed(Freshness::Fresh, &input))?,
                timed(calls, || self.sandboxed(Freshness::MayBeWarm, &input))?,
                timed(calls, || natively(&at_once, &input))?,
            ];
            if round > 0 {
                for (all, micros) in [&mut native, &mut fresh, &mut warm, &mut code].into_iter().zip(turn) {
                    all.push(micros);
                }
            }
        }
        let median = |all: &[f64]| median_and_max(all).0;
        Ok(Micros {
            native: median(&native),
            fresh: median(&fresh),
            warm: median(&warm),
            code: median(&code),
        })
    }

    fn sandboxed(&self, instance: Freshness, input: &str) -> Result<()> {
        let call = SandboxCall {
            scope: self.scope,
            user: Some(self.user),
            connection: Some(self.connection),
            name: ACTION.to_owned(),
            parameters: BTreeMap::new(),
            account: "bench".to_owned(),
            idempotency_key: idempotency_key(self.user.0.into(), ACTION),
            attempt: 1,
            secrets: Arc::clone(&self.secrets),
            deadline: None,
            instance,
        };
        let answered = self.runtime.block_on(self.connector.run_action(call, input));
        answered.map(drop).map_err(|failed| anyhow!("the sandboxed call failed: {}", failed.error))
    }

    fn context(&self, host: Rc<dyn NativeHost>) -> NativeContext {
        let call = NativeCall {
            name: ACTION.to_owned(),
            parameters: Vec::new(),
            account: "bench".to_owned(),
            idempotency_key: idempotency_key(self.user.0.into(), ACTION),
            attempt: 1,
            ext: Vec::new(),
        };
        NativeContext::new(host, call)
    }
}

fn natively(context: &NativeContext, input: &str) -> Result<()> {
    connector().run(context, input).map(drop).map_err(|error| anyhow!("the native call failed: {error}"))
}

/// Microseconds of one call, over some.
fn timed(calls: u32, call: impl Fn() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    for _ in 0..calls {
        call()?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / f64::from(calls))
}

impl Native {
    fn post(&self, request: &Request) -> Result<Response> {
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        }
        headers.insert("x-api-key", HeaderValue::from_static("key-of-the-bench"));
        let post = Post {
            url: request.url.clone(),
            method: Method::from_bytes(request.method.as_bytes())?,
            headers,
            body: Bytes::from(request.body.clone().unwrap_or_default()),
            timeout: TIMEOUT,
        };
        let answer = self.runtime.block_on(self.broker.post(post))?;
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = answer.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value)));
        Ok(Response { status: answer.status, headers: headers.collect(), body: answer.body.to_vec() })
    }
}

impl NativeHost for Native {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        self.post(&request).map_err(|error| SendError::Unreachable(format!("{error:#}")))
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>> {
        requests.into_iter().map(|request| self.send(request)).collect()
    }

    fn log(&self, _: Level, _: &str) {}

    fn observe(&self, _: &str, _: u64, _: Duration) {}

    fn now_ms(&self) -> u64 {
        0
    }

    fn random(&self, length: u32) -> Vec<u8> {
        vec![0; usize::try_from(length).unwrap_or_default()]
    }
}

impl NativeHost for Echo {
    fn send(&self, request: Request) -> Result<Response, SendError> {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Ok(Response { status: 200, headers, body: request.body.unwrap_or_default() })
    }

    fn send_all(&self, requests: Vec<Request>) -> Vec<Result<Response, SendError>> {
        requests.into_iter().map(|request| self.send(request)).collect()
    }

    fn log(&self, _: Level, _: &str) {}

    fn observe(&self, _: &str, _: u64, _: Duration) {}

    fn now_ms(&self) -> u64 {
        0
    }

    fn random(&self, length: u32) -> Vec<u8> {
        vec![0; usize::try_from(length).unwrap_or_default()]
    }
}

impl Micros {
    fn fresh_over(self) -> f64 {
        self.fresh - self.native
    }

    fn warm_over(self) -> f64 {
        self.warm - self.native
    }

    /// The bound on larger payloads, without the socket on either side.
    fn keeps_larger(self) -> bool {
        self.code + self.fresh_over() <= LARGER_TIMES * self.code + LARGER_OVER
    }
}

fn report(figures: &[Micros]) -> Result<Report> {
    let small = *figures.first().context("nothing was measured")?;
    let mut members = vec![
        ("fresh_over_native_us", number(small.fresh_over())),
        ("warm_over_native_us", number(small.warm_over())),
    ];
    let mut payloads = serde_json::Map::new();
    let mut rows = Vec::new();
    let mut budgets = vec![
        Budget {
            bound: format!("fresh at most {FRESH_OVER:.0} µs over native at 0.4 KB"),
            met: small.fresh_over() <= FRESH_OVER,
        },
        Budget {
            bound: format!("warm at most {WARM_OVER:.0} µs over native at 0.4 KB"),
            met: small.warm_over() <= WARM_OVER,
        },
    ];
    for ((bytes, name), micros) in PAYLOADS.iter().zip(figures) {
        let Micros { native, fresh, warm, code } = *micros;
        let size = format!("{:.1} KB", kilobytes(*bytes));
        rows.push((
            size.clone(),
            format!(
                "native {native:.1} µs, fresh {fresh:.1} µs ({:+.1}), warm {warm:.1} µs ({:+.1}); the code alone {code:.1} µs",
                micros.fresh_over(),
                micros.warm_over(),
            ),
        ));
        payloads.insert(
            (*name).to_owned(),
            json!({
                "native_us": number(native), "fresh_us": number(fresh), "warm_us": number(warm), "code_us": number(code),
                "fresh_over_native_us": number(micros.fresh_over()), "warm_over_native_us": number(micros.warm_over()),
            }),
        );
        if *bytes > 400 {
            let bound = format!(
                "{size}: the code, fresh, at most {LARGER_TIMES} × native and {LARGER_OVER:.0} µs ({:.1} of {:.1} µs)",
                code + micros.fresh_over(),
                LARGER_TIMES * code + LARGER_OVER,
            );
            budgets.push(Budget { bound, met: micros.keeps_larger() });
        }
    }
    members.push(("payloads", payloads.into()));
    Ok(Report {
        scenario: "call",
        value: small.fresh,
        reference: small.native,
        members,
        rows,
        budgets,
        faults: Vec::new(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand bytes")]
fn kilobytes(bytes: usize) -> f64 {
    bytes as f64 / 1_000.0
}
