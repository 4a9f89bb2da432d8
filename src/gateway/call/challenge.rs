//! What a client whose credential does not suffice is told to do: `WWW-Authenticate` (RFC 6750 §3, RFC 9449 §7.1, RFC 9728
//! §5.1).
//!
//! Where the metadata is, is told to those who came with nothing or with a token. Whoever came with an API key has no
//! authorization server to ask: a client that found one named would begin a login that its operator never meant.

use http::HeaderValue;

use super::credential::Manner;
use crate::domain::jose::Algorithm;

/// The value of the field.
#[derive(Clone, Debug)]
pub struct Challenge(HeaderValue);

impl From<Challenge> for HeaderValue {
    fn from(challenge: Challenge) -> Self {
        challenge.0
    }
}

impl Challenge {
    /// For a 401. Whatever is wrong with a credential, it is told the same. Where proofs of possession can be taken
    /// (`takes_proofs`), those who have no key are told of that scheme too (RFC 9449 §7.1).
    pub fn unauthorized(
        manner: Manner,
        scope: Option<&str>,
        takes_proofs: bool,
        metadata: impl FnOnce() -> Option<String>,
    ) -> Self {
        let mut parts = Parts::new(manner);
        if manner != Manner::Nothing {
            parts.add("error", "invalid_token");
        }
        if manner == Manner::Bound {
            parts.add("algs", &proving());
        }
        parts.invite(manner, scope, metadata);
        if takes_proofs && matches!(manner, Manner::Nothing | Manner::Token) {
            parts.also_by_proof();
        }
        parts.into()
    }

    /// For a 401 whose token would do, and whose proof does not hold (RFC 9449 §7.1).
    pub fn unproved(metadata: impl FnOnce() -> Option<String>) -> Self {
        let mut parts = Parts::new(Manner::Bound);
        parts.add("error", "invalid_dpop_proof");
        parts.add("algs", &proving());
        parts.invite(Manner::Bound, None, metadata);
        parts.into()
    }

    /// For a 403: what the client should ask for, all of which it will. None for who came with an API key: there is
    /// nobody to ask for more, and a client that is challenged begins a login.
    pub fn insufficient(
        manner: Manner,
        scope: Option<&str>,
        metadata: impl FnOnce() -> Option<String>,
    ) -> Option<Self> {
        if manner == Manner::Key {
            return None;
        }
        let mut parts = Parts::new(manner);
        parts.add("error", "insufficient_scope");
        parts.invite(manner, scope, metadata);
        Some(parts.into())
    }

    /// For a 400.
    pub fn improper() -> Self {
        Self(HeaderValue::from_static("Bearer realm=\"portcullis\", error=\"invalid_request\""))
    }
}

/// What proofs may be signed with.
fn proving() -> String {
    Algorithm::public_names().collect::<Vec<_>>().join(" ")
}

struct Parts(String);

impl Parts {
    fn new(manner: Manner) -> Self {
        let scheme = if manner == Manner::Bound { "DPoP" } else { "Bearer" };
        Self(format!("{scheme} realm=\"portcullis\""))
    }

    fn add(&mut self, name: &str, value: &str) {
        self.0 += &format!(", {name}=\"{value}\"");
    }

    /// A second challenge behind the first (RFC 9110 §11.6.1).
    fn also_by_proof(&mut self) {
        self.0 += &format!(", DPoP algs=\"{}\"", proving());
    }

    fn invite(&mut self, manner: Manner, scope: Option<&str>, metadata: impl FnOnce() -> Option<String>) {
        if let Some(scope) = scope {
            self.add("scope", scope);
        }
        if manner != Manner::Key
            && let Some(url) = metadata()
        {
            self.add("resource_metadata", &url);
        }
    }
}

impl From<Parts> for Challenge {
    fn from(parts: Parts) -> Self {
        // Scopes and URLs hold nothing that cannot stand between quotes; what did would not be sent.
        let bare = HeaderValue::from_static("Bearer realm=\"portcullis\"");
        Self(HeaderValue::from_str(&parts.0).unwrap_or(bare))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(challenge: Challenge) -> String {
        HeaderValue::from(challenge).to_str().unwrap().to_owned()
    }

    #[test]
    fn each_client_is_told_what_it_can_act_on() {
        let metadata = || Some("https://h/.well-known/oauth-protected-resource/mcp".to_owned());
        let told = |manner| text(Challenge::unauthorized(manner, None, false, metadata));
        let at = ", resource_metadata=\"https://h/.well-known/oauth-protected-resource/mcp\"";
        assert_eq!(
            told(Manner::Nothing),
            format!("Bearer realm=\"portcullis\"{at}"),
            "no error without a credential"
        );
        assert_eq!(told(Manner::Token), format!("Bearer realm=\"portcullis\", error=\"invalid_token\"{at}"));
        assert_eq!(told(Manner::Key), "Bearer realm=\"portcullis\", error=\"invalid_token\"");
        assert!(
            told(Manner::Bound)
                .starts_with("DPoP realm=\"portcullis\", error=\"invalid_token\", algs=\"EdDSA ES256")
        );
        let proof = text(Challenge::unproved(metadata));
        assert!(
            proof.starts_with("DPoP realm=\"portcullis\", error=\"invalid_dpop_proof\", algs=\"EdDSA ES256"),
            "{proof}"
        );
        assert!(proof.ends_with(&format!("Ed25519\"{at}")) && !proof.contains("HS256"), "{proof}");
        let also = |manner| text(Challenge::unauthorized(manner, None, true, metadata));
        for manner in [Manner::Nothing, Manner::Token] {
            let behind = format!("{}, DPoP algs=\"{}\"", told(manner), proving());
            assert_eq!(also(manner), behind, "the scheme that most clients look for stands first");
        }
        for manner in [Manner::Key, Manner::Bound] {
            assert_eq!(also(manner), told(manner));
        }
        let told = |manner| Challenge::insufficient(manner, Some("tools:call"), metadata).map(text);
        let wants = "realm=\"portcullis\", error=\"insufficient_scope\", scope=\"tools:call\"";
        assert_eq!(told(Manner::Token), Some(format!("Bearer {wants}{at}")));
        assert_eq!(told(Manner::Bound), Some(format!("DPoP {wants}{at}")));
        assert_eq!(told(Manner::Key), None);
        let unnamed = Challenge::insufficient(Manner::Token, None, metadata).map(text);
        assert_eq!(unnamed, Some(format!("Bearer realm=\"portcullis\", error=\"insufficient_scope\"{at}")));
    }
}
