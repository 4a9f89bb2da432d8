//! The places where clients log in that were named no authorization server: MCP 2025-03-26 fixed them (Authorization,
//! Fallbacks), and clients of today still try them after a 401. Nobody logs in here; what these clients show their users is
//! the description of an OAuth error, and nothing else.

use bytes::Bytes;
use http::Response;
use serde_json::json;

use super::answer::to_bytes;
use crate::gateway::call::refusal::Refusal;
use crate::gateway::stream::Reply;

/// What somebody who wants to log in is told.
pub const NO_LOGIN: &str = "nobody can log in here: this gateway takes an API key or a token, sent as Authorization: Bearer \
                            (a key as X-API-Key too). If you sent one, it is mistyped, expired or revoked; whoever runs the \
                            gateway issues another";

/// Whether clients log in at this path where nobody has told them where to.
pub fn is_place(path: &str) -> bool {
    matches!(path, "/register" | "/authorize" | "/token")
}

/// A refusal of who has not proved to be anybody, as such clients read it: the status and the fields of every refusal, the
/// body of theirs.
pub fn refused(refusal: &Refusal) -> Response<Reply> {
    let body = json!({ "error": "access_denied", "error_description": NO_LOGIN });
    refusal.render::<Bytes>(None, false).map(|_| Reply::from(to_bytes(&body)))
}
