//! The signals that ask a process to end.

use tokio::signal::unix::{SignalKind, signal};

use super::error::CliError;

/// SIGTERM, SIGINT and SIGHUP: each asks for an orderly end.
pub struct StopSignals([tokio::signal::unix::Signal; 3]);

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

    pub async fn wait(self) {
        let [mut terminate, mut interrupt, mut hangup] = self.0;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
