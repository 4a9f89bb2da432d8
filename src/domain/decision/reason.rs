//! The reasons: why a call was denied.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

macro_rules! reasons {
    ($($variant:ident = $code:literal, $status:literal, $explanation:literal;)+) => {
        /// Why a call was denied. The names are contract (§4 of the design): they stand in
        /// events, bodies, exports and scripts.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $explanation] $variant,)+
        }

        impl Reason {
            pub const fn all() -> &'static [Self] {
                &[$(Self::$variant),+]
            }

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The HTTP status: 401, 403, 404, 429, 400 or 503.
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$variant => $status,)+
                }
            }

            /// One sentence for people: what it means.
            pub const fn explanation(self) -> &'static str {
                match self {
                    $(Self::$variant => $explanation,)+
                }
            }
        }
    };
}

reasons! {
    MissingCredential = "missing_credential", 401, "The call came without a credential.";
    UnknownCredential = "unknown_credential", 401, "No credential has this id in this environment.";
    Malformed = "malformed", 401, "The credential is not well formed: mistyped, cut short, or of another kind.";
    BadSecret = "bad_secret", 401, "The id is known, but the secret is not its own.";
    BadSignature = "bad_signature", 401, "The signature does not fit.";
    Disabled = "disabled", 401, "The credential is disabled until an operator enables it again.";
    NotYetValid = "not_yet_valid", 401, "The credential is not valid yet.";
    Expired = "expired", 401, "The credential has expired.";
    Revoked = "revoked", 401, "The credential was revoked, for good.";
    Replayed = "replayed", 401, "The credential may be used once, and was used before.";
    WrongIssuer = "wrong_issuer", 401, "The credential comes from an issuer that is not registered.";
    WrongAudience = "wrong_audience", 401, "The credential was made for another server.";
    UntrustedCertificate = "untrusted_certificate", 401, "The certificate does not lead to a trusted authority.";
    LockedOut = "locked_out", 401, "Too many failures from this network: locked for a while, even for the right secret.";
    IpDenied = "ip_denied", 403, "The policy does not admit the client's address.";
    TimeDenied = "time_denied", 403, "The policy does not admit calls at this hour.";
    InsufficientScope = "insufficient_scope", 403, "None of the credential's scopes covers this endpoint.";
    EndpointDenied = "endpoint_denied", 403, "The policy does not admit this endpoint.";
    ToolUnsigned = "tool_unsigned", 403, "The tool's definition carries no valid signature.";
    ToolChanged = "tool_changed", 403, "The tool's definition is not the approved one.";
    OriginDenied = "origin_denied", 403, "The Host or Origin header names a site that is not allowed.";
    SessionMismatch = "session_mismatch", 404, "There is no such MCP session of this caller with these scopes: begin a new one.";
    RateLimited = "rate_limited", 429, "The quota of a window is spent.";
    HeaderMismatch = "header_mismatch", 400, "An MCP header says something else than the body.";
    BadRequest = "bad_request", 400, "The request cannot be read as HTTP or MCP.";
    Unavailable = "unavailable", 503, "Store, vault or upstream cannot answer, so the answer is no.";
}

impl Reason {
    /// Whether it is one of the credential refusals, which all look alike to the client.
    pub const fn is_unauthorized(self) -> bool {
        self.status() == 401
    }
}

impl FromStr for Reason {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::all().iter().copied().find(|reason| reason.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
