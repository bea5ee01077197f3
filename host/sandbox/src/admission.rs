//! Who may enter the pool: fair per connector, decided before a slot is taken.
//!
//! A slot is held while a vendor is slow, so one connector could take them all. Each connector queues at a
//! semaphore of its own first (tokio's are first come, first served) and only then for the pool, whose
//! slots therefore never run out.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use trunnion_core::call::CallError;

/// A place inside the pool; given back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    _connector: OwnedSemaphorePermit,
    _pool: OwnedSemaphorePermit,
}

/// Waits for a place, at most `wait`.
pub(crate) async fn admit(
    connector: &Arc<Semaphore>,
    pool: &Arc<Semaphore>,
    wait: Duration,
    name: &str,
) -> Result<Admitted, CallError> {
    let both = async {
        let own = Arc::clone(connector).acquire_owned().await?;
        let slot = Arc::clone(pool).acquire_owned().await?;
        Ok::<_, tokio::sync::AcquireError>(Admitted { _connector: own, _pool: slot })
    };
    match tokio::time::timeout(wait, both).await {
        Ok(Ok(admitted)) => Ok(admitted),
        Ok(Err(_)) => {
            Err(CallError::Unavailable { message: "the sandbox is closed; start the host again".to_owned() })
        }
        Err(_) => Err(CallError::Unavailable {
            message: format!(
                "no instance of connector `{name}` became free within {} ms; its calls are slow or too many: \
                 raise `max_calls_per_connector` or `pool_size`, or slow down",
                wait.as_millis()
            ),
        }),
    }
}
