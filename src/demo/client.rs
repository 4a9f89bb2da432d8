//! The clients of the demo: MCP clients that call through the gateway, each with a character of its own.

use std::time::Duration;

use rmcp::{
    ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequestParams, GetPromptRequestParams, ProtocolVersion, ReadResourceRequestParams},
    service::RunningService,
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::domain::secret::Secret;

/// How long a client waits after it could not connect.
const AGAIN: Duration = Duration::from_millis(900);

/// Which era of MCP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Era {
    /// A session, as up to 2025-11-25.
    Sessions,
    /// 2026-07-28: every request stands alone.
    Stateless,
}

/// One thing a client does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    ListTools,
    Search(&'static str),
    ReadPage(&'static str),
    SendEmail,
    BuildReport,
    ReadResource(&'static str),
    Prompt,
}

/// A client: what it does in turn, and how long it rests between two steps.
#[derive(Debug)]
pub struct Client {
    /// Its key or token.
    pub credential: Secret,
    pub era: Era,
    pub steps: &'static [Step],
    pub rest: Duration,
}

type Connection = RunningService<RoleClient, ()>;

impl Client {
    /// Calls, and calls again, until it is told to end. What is refused is part of the play.
    pub async fn run(self, url: String, ends: CancellationToken) {
        while !ends.is_cancelled() {
            let connected = tokio::select! {
                () = ends.cancelled() => return,
                connected = self.connect(&url) => connected,
            };
            let Some(connection) = connected else {
                rest(AGAIN, &ends).await;
                continue;
            };
            tokio::select! {
                () = ends.cancelled() => {}
                () = self.work(&connection, &ends) => {}
            }
            // The server ends sessions by itself as well; then there is nothing left to close.
            let _ = connection.cancel().await;
        }
    }

    async fn connect(&self, url: &str) -> Option<Connection> {
        let settings = StreamableHttpClientTransportConfig::with_uri(url.to_owned())
            .auth_header(self.credential.expose());
        let transport = StreamableHttpClientTransport::from_config(settings);
        match self.era {
            Era::Sessions => ().serve(transport).await.ok(),
            Era::Stateless => {
                let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
                ().serve_with_lifecycle(transport, ClientLifecycleMode::Discover { preferred_versions })
                    .await
                    .ok()
            }
        }
    }

    /// Goes through the steps until the connection is lost.
    async fn work(&self, connection: &Connection, ends: &CancellationToken) {
        for step in self.steps.iter().cycle() {
            if let Err(ServiceError::TransportClosed | ServiceError::TransportSend(_)) =
                take(connection, *step).await
                && connection.is_transport_closed()
            {
                return;
            }
            rest(varied(self.rest), ends).await;
            if ends.is_cancelled() {
                return;
            }
        }
    }
}

async fn take(connection: &Connection, step: Step) -> Result<(), ServiceError> {
    match step {
        Step::ListTools => connection.list_all_tools().await.map(drop),
        Step::Search(query) => call(connection, "search_docs", json!({ "query": query })).await,
        Step::ReadPage(path) => call(connection, "read_file", json!({ "path": path })).await,
        Step::SendEmail => {
            let email =
                json!({"to": "customer@example.com", "subject": "Your ticket", "body": "It is solved."});
            call(connection, "send_email", email).await
        }
        Step::BuildReport => call(connection, "build_report", json!({ "month": "2026-07" })).await,
        Step::ReadResource(uri) => {
            connection.read_resource(ReadResourceRequestParams::new(uri)).await.map(drop)
        }
        Step::Prompt => {
            let mut prompt = GetPromptRequestParams::new("summarise_ticket");
            prompt.arguments = json!({ "ticket": "4711" }).as_object().cloned();
            connection.get_prompt(prompt).await.map(drop)
        }
    }
}

async fn call(connection: &Connection, tool: &'static str, arguments: Value) -> Result<(), ServiceError> {
    let mut call = CallToolRequestParams::new(tool);
    call.arguments = arguments.as_object().cloned();
    connection.call_tool(call).await.map(drop)
}

async fn rest(pause: Duration, ends: &CancellationToken) {
    tokio::select! {
        () = ends.cancelled() => {}
        () = tokio::time::sleep(pause) => {}
    }
}

/// Half to one and a half of `pause`: nobody calls like clockwork.
fn varied(pause: Duration) -> Duration {
    let chance = getrandom::u32().unwrap_or(u32::MAX / 2);
    pause.mul_f64(0.5 + f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_varies_around_what_was_asked_for() {
        for _ in 0..100 {
            let pause = varied(Duration::from_millis(100));
            assert!(pause >= Duration::from_millis(50) && pause <= Duration::from_millis(150), "{pause:?}");
        }
    }
}
