//! The host's own log: one line an event on standard error, filtered by `--log` or the config file.

use tracing_subscriber::{EnvFilter, fmt};

/// A filter that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{filter}` is not a log filter; write a level such as `info`, or `warn,trunnion=debug`")]
pub struct BadFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Sends log lines of `filter` to standard error. A second call keeps the first one's setting.
pub fn init(filter: &str) -> Result<(), BadFilter> {
    let filter_ = EnvFilter::builder()
        .parse(filter)
        .map_err(|source| BadFilter { filter: filter.to_owned(), source })?;
    let subscriber = fmt().with_env_filter(filter_).with_writer(std::io::stderr).with_ansi(false).finish();
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        tracing::debug!("the log was already set up; its setting stays");
    }
    Ok(())
}
