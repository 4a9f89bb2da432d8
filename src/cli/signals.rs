//! The signals that ask a process to end.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;

/// SIGTERM, SIGINT and SIGHUP: each asks for an orderly end.
pub struct StopSignals([Signal; 3]);

impl StopSignals {
    /// From here on these signals no longer kill the process. Needs a tokio runtime.
    pub fn catch() -> Result<Self, CliError> {
        let catch = |kind| {
            signal(kind).map_err(|error| CliError::broken(format!("signals cannot be caught: {error}")))
        };
        Ok(Self([
            catch(SignalKind::terminate())?,
            catch(SignalKind::interrupt())?,
            catch(SignalKind::hangup())?,
        ]))
    }

    /// The next of them, by its number.
    pub async fn wait(&mut self) -> i32 {
        let [terminate, interrupt, hangup] = &mut self.0;
        let kind = tokio::select! {
            _ = terminate.recv() => SignalKind::terminate(),
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = hangup.recv() => SignalKind::hangup(),
        };
        kind.as_raw_value()
    }
}
