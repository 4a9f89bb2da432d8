//! A small MCP server with believable tools: what the demo and the tests put behind the gateway.
//!
//! It speaks both eras of MCP over Streamable HTTP, on loopback, without any authentication of its own:
//! that is the gateway's task.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rmcp::{
    ErrorData, Peer, RoleServer, ServerHandler,
    handler::server::wrapper::Parameters,
    model::{
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, Implementation, ListPromptsResult,
        ListResourcesResult, PaginatedRequestParams, ProgressNotificationParam, Prompt, PromptArgument,
        PromptMessage, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
        RequestMetaObject, Resource, ResourceContents, Role, ServerCapabilities, ServerConfig,
    },
    schemars,
    service::RequestContext,
    tool, tool_handler, tool_router,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::local::LocalSessionManager,
    },
};
use serde::Deserialize;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Where the MCP endpoint is.
pub const PATH: &str = "/mcp";

/// The pages of the handbook: URI, title, text.
const PAGES: [(&str, &str, &str); 3] = [
    (
        "file:///handbook/oncall.md",
        "On call",
        "Who is called, when, and what to do first: look at the dashboard, then at the last release.",
    ),
    ("file:///handbook/release.md", "Releases", "We release on Tuesdays and Thursdays, never on a Friday."),
    ("file:///handbook/refunds.md", "Refunds", "Up to 50 EUR support decides alone; above that, ask a lead."),
];
/// How many steps the slow tool takes, and how long each is.
const STEPS: u32 = 5;
const STEP: Duration = Duration::from_millis(300);

/// A server that runs. It stops when this is dropped, or by [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ends: CancellationToken,
    accepting: tokio::task::JoinHandle<()>,
}

impl Server {
    pub fn address(&self) -> SocketAddr {
        self.address
    }
    /// The URL of the MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}{PATH}", self.address)
    }
    pub async fn stop(mut self) {
        self.ends.cancel();
        // A task that was cancelled or panicked has ended as well.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ends.cancel();
    }
}

/// Listens on `listen` (port 0: any free one) and serves until stopped.
pub async fn start(listen: SocketAddr) -> io::Result<Server> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let ends = CancellationToken::new();
    let settings = StreamableHttpServerConfig::default().with_cancellation_token(ends.child_token());
    let mcp = StreamableHttpService::new(|| Ok(Handbook), Arc::new(LocalSessionManager::default()), settings);
    let accepting = tokio::spawn(accept(listener, mcp, ends.clone()));
    Ok(Server { address, ends, accepting })
}

type Mcp = StreamableHttpService<Handbook, LocalSessionManager>;

async fn accept(listener: TcpListener, mcp: Mcp, ends: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            () = ends.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        if let Ok((stream, _)) = accepted {
            tokio::spawn(serve(stream, mcp.clone(), ends.clone()));
        }
    }
}

async fn serve(stream: TcpStream, mcp: Mcp, ends: CancellationToken) {
    // Small answers that leave at once; without it the last bytes may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(mcp.clone(), request));
    let connection =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = ends.cancelled() => {}
        // A client that hangs up in the middle ends its own connection and nothing else.
        _ = connection => {}
    }
}

async fn answer(
    mcp: Mcp,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    if request.uri().path() == PATH {
        return Ok(mcp.handle(request).await);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(b"not found\n")).boxed());
    *response.status_mut() = StatusCode::NOT_FOUND;
    Ok(response)
}

/// The tools of a small company's handbook.
#[derive(Clone, Debug)]
struct Handbook;

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Search {
    /// Words to look for
    query: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct ReadFile {
    /// Path of the page, such as oncall.md
    path: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Email {
    /// The recipient's address
    to: String,
    subject: String,
    body: String,
}

#[derive(Debug, Deserialize, schemars::JsonSchema)]
struct Report {
    /// The month, such as 2026-07
    month: String,
}

#[tool_router]
impl Handbook {
    #[tool(description = "Search the company handbook", annotations(read_only_hint = true))]
    async fn search_docs(&self, Parameters(Search { query }): Parameters<Search>) -> String {
        let query = query.to_lowercase();
        let hits = PAGES
            .iter()
            .filter(|(_, title, text)| {
                title.to_lowercase().contains(&query) || text.to_lowercase().contains(&query)
            })
            .map(|(uri, title, _)| format!("{title} ({uri})"))
            .collect::<Vec<_>>();
        if hits.is_empty() { "nothing found".into() } else { hits.join("\n") }
    }

    #[tool(description = "Read one page of the handbook", annotations(read_only_hint = true))]
    async fn read_file(
        &self,
        Parameters(ReadFile { path }): Parameters<ReadFile>,
    ) -> Result<String, ErrorData> {
        page(&format!("file:///handbook/{path}")).map(|(_, _, text)| (*text).to_owned())
    }

    #[tool(description = "Send an e-mail to a customer", annotations(destructive_hint = true))]
    async fn send_email(&self, Parameters(Email { to, subject, body }): Parameters<Email>) -> String {
        format!("queued for {to}: {subject} ({} characters)", body.chars().count())
    }

    #[tool(description = "Build the monthly report; takes a moment and tells how far it is")]
    async fn build_report(
        &self,
        meta: RequestMetaObject,
        client: Peer<RoleServer>,
        Parameters(Report { month }): Parameters<Report>,
    ) -> String {
        for step in 1..=STEPS {
            tokio::time::sleep(STEP).await;
            if let Some(token) = meta.get_progress_token() {
                let progress =
                    ProgressNotificationParam::new(token, f64::from(step)).with_total(f64::from(STEPS));
                // Whoever no longer listens does not want the report to fail.
                let _ = client.notify_progress(progress).await;
            }
        }
        format!("the report for {month} is ready: {STEPS} sections")
    }
}

fn page(uri: &str) -> Result<&'static (&'static str, &'static str, &'static str), ErrorData> {
    PAGES
        .iter()
        .find(|(known, _, _)| *known == uri)
        .ok_or_else(|| ErrorData::resource_not_found("the handbook has no such page", None))
}

#[tool_handler]
impl ServerHandler for Handbook {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().enable_prompts().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("handbook", env!("CARGO_PKG_VERSION")))
            .with_instructions("The handbook of a small company: search it, read it, write to customers.")
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let pages =
            PAGES.iter().map(|(uri, title, _)| Resource::new(*uri, *title).with_mime_type("text/markdown"));
        Ok(ListResourcesResult::with_all_items(pages.collect()))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let (uri, _, text) = page(&request.uri)?;
        Ok(ReadResourceResult::new(vec![ResourceContents::text(*text, *uri)]).into())
    }

    async fn list_prompts(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let ticket =
            PromptArgument::new("ticket").with_description("The ticket's number").with_required(true);
        let prompt = Prompt::new("summarise_ticket", Some("Summarise a support ticket"), Some(vec![ticket]));
        Ok(ListPromptsResult::with_all_items(vec![prompt]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        if request.name != "summarise_ticket" {
            return Err(ErrorData::invalid_params("there is no such prompt", None));
        }
        let ticket = request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get("ticket"))
            .and_then(serde_json::Value::as_str)
            .ok_or_else(|| ErrorData::invalid_params("`ticket` is missing", None))?;
        let text = format!("Summarise ticket {ticket} in three sentences for the next shift.");
        Ok(GetPromptResult::new(vec![PromptMessage::new_text(Role::User, text)]).into())
    }
}
