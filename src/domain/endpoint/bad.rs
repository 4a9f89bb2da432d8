//! What is no endpoint.

/// The longest endpoint, in bytes.
pub(super) const LONGEST: usize = 2048;

/// Why a text is not an endpoint. The texts quoted are safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEndpoint {
    #[error("an endpoint cannot be empty; write an MCP method such as tools/list, or a path such as /health")]
    Empty,
    #[error("an endpoint has at most 2048 bytes, however its URI is written")]
    TooLong,
    #[error(
        "`{0}` is not a path that can be normalised: a percent sign wants two hexadecimal digits after it"
    )]
    Escape(String),
    #[error(
        "`{0}` is not a path: it holds a backslash or a control character, which servers read in different ways"
    )]
    Character(String),
    #[error("`{0}` is not a path: it does not start with a slash")]
    NotAPath(String),
    #[error("`{0}` is not an MCP method: only the path of plain HTTP starts with a slash")]
    NotAMethod(String),
    #[error("`{0}` is not an MCP method: what a call acts on belongs into its params")]
    NamesATarget(String),
    #[error(
        "a whole API key or token stands in the path or name, where it would be stored and shown: send it as \
         Authorization: Bearer, and rotate or revoke this one"
    )]
    Credential,
}
