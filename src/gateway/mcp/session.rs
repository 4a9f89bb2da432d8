//! Session ids of the old era, bound to whoever opened the session: an identity with its API key, or with its tokens, so
//! that a session outlives a token that is exchanged for a fresh one; and for all but requests to the scopes that it was
//! opened with, so that a narrower credential of the same identity cannot read along, answer what the server asks, cancel
//! what others asked, or end it. Requests within it are judged by their own scopes: a client that asked for another scope
//! goes on in its session.
//!
//! The upstream makes the id; the client sees `<upstream id>.<scopes>.<tag>`, where the tag is a MAC over owner, scopes and
//! id. The gateway keeps nothing: a session outlives a restart, and any gateway on the same home knows it. A session id is
//! not a proof of identity (MCP 2025-11-25, Security Best Practices, Session Hijacking): each request is judged by its
//! credential, and the tag only ties the two together.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::decision::Principal;
use crate::domain::name::ScopeName;
use crate::domain::scope::EVERYTHING;
use crate::gateway::wire::{Fields, Several, text};

/// Of a stream that goes on where another broke off.
pub const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Characters of a tag: 132 bits.
const TAG: usize = 22;
/// Bytes by which a scope is known in an id. Names of scopes are the operator's: nobody else can choose two that look alike.
const MARK: usize = 4;
/// An id names no more scopes than these; of more, all have to be held again and no others.
const MOST_NAMED: usize = 64;

/// The id that a client presents is not one that this gateway gave to this credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignSession;

/// Makes and checks tags. Holds the keyed state of the MAC.
#[derive(Clone)]
pub struct Binder(Hmac<Sha256>);

impl Binder {
    pub fn new(key: &[u8; 32]) -> Self {
        // A short key is padded to the block with zeros (RFC 2104 §2); done here, no length can be wrong.
        let mut block = [0; 64];
        block[..key.len()].copy_from_slice(key);
        Self(Hmac::new(&block.into()))
    }

    fn tag(&self, owner: &Principal, scopes: &str, upstream_id: &str) -> String {
        let mut mac = self.0.clone();
        let (identity, account) = (&owner.identity, owner.account.to_string());
        // None of them holds a NUL.
        for part in [identity.issuer_name(), identity.subject.as_str(), &account, scopes, upstream_id] {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        let mut tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        tag.truncate(TAG);
        tag
    }

    /// The id for the client. `None` where the upstream's is not visible ASCII, as MCP wants it.
    pub fn bind(&self, owner: &Principal, upstream_id: &[u8]) -> Option<HeaderValue> {
        let is_visible = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        let id = text(upstream_id).filter(is_visible)?;
        let scopes = named(&owner.scopes);
        HeaderValue::from_str(&format!("{id}.{scopes}.{}", self.tag(owner, &scopes, id))).ok()
    }

    /// The id for the upstream, where the client presents one. `as_opened`: whether it needs the scopes that the session was
    /// opened with.
    ///
    /// # Errors
    /// Where it is not one that was bound to this principal, or its scopes do not reach as far as those then.
    pub fn unbind(
        &self,
        owner: &Principal,
        headers: &Fields,
        as_opened: bool,
    ) -> Result<Option<HeaderValue>, ForeignSession> {
        let value = headers.single(&SESSION_ID).map_err(|Several| ForeignSession)?;
        let Some(value) = value else { return Ok(None) };
        let (rest, tag) = text(value).and_then(|text| text.rsplit_once('.')).ok_or(ForeignSession)?;
        let (id, scopes) = rest.rsplit_once('.').ok_or(ForeignSession)?;
        let expected = self.tag(owner, scopes, id);
        let is_own = bool::from(expected.as_bytes().ct_eq(tag.as_bytes()));
        if !is_own || (as_opened && !holds(&owner.scopes, scopes)) {
            return Err(ForeignSession);
        }
        HeaderValue::from_str(id).map(Some).map_err(|_| ForeignSession)
    }
}

fn mark(scope: &ScopeName) -> [u8; MARK] {
    let digest: [u8; 32] = Sha256::digest(scope.as_str()).into();
    digest.first_chunk().copied().unwrap_or_default()
}

/// The scopes as they stand in an id: in base64url, each in so many bytes, or all in the bytes of one digest.
fn named(scopes: &[ScopeName]) -> String {
    let mut marks: Vec<_> = scopes.iter().map(mark).collect();
    marks.sort_unstable();
    marks.dedup();
    let bytes = marks.concat();
    match marks.len() {
        ..=MOST_NAMED => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        // One byte more than any number of marks, so that neither is taken for the other.
        _ => BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..MARK * 4 + 1]),
    }
}

/// Whether `held` are no fewer than those `named` in an id that proved to be ours.
fn holds(held: &[ScopeName], scopes: &str) -> bool {
    if held.iter().any(|scope| scope.as_str() == EVERYTHING) || named(held) == scopes {
        return true;
    }
    let Ok(bytes) = BASE64_URL_SAFE_NO_PAD.decode(scopes) else { return false };
    let (marks, rest) = bytes.as_chunks::<MARK>();
    rest.is_empty() && marks.iter().all(|one| held.iter().any(|scope| mark(scope) == *one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeyId;
    use crate::domain::credential::CredentialId;
    use crate::domain::token::TokenId;
    use crate::gateway::testing;
    use http::HeaderMap;

    fn owner() -> Principal {
        testing::principal("alice", CredentialId::ApiKey(KeyId::generate().unwrap()))
    }

    fn with_scopes(owner: &Principal, scopes: &[&str]) -> Principal {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        Principal { scopes, ..owner.clone() }
    }

    fn presented(id: &HeaderValue) -> Fields {
        Fields::from(&HeaderMap::from_iter([(SESSION_ID, id.clone())]))
    }

    #[test]
    fn an_id_comes_back_to_the_upstream_as_it_was() {
        let (binder, owner) = (Binder::new(&[7; 32]), owner());
        for id in ["abc", "with.dots.in.it", "!~"] {
            let bound = binder.bind(&owner, id.as_bytes()).unwrap();
            assert_ne!(bound, id);
            assert_eq!(
                binder.unbind(&owner, &presented(&bound), true),
                Ok(Some(HeaderValue::from_static(id)))
            );
            // Another gateway on the same home knows it too.
            assert_eq!(Binder::new(&[7; 32]).unbind(&owner, &presented(&bound), true).unwrap().unwrap(), id);
        }
        assert_eq!(binder.unbind(&owner, &Fields::default(), true), Ok(None));
    }

    #[test]
    fn an_id_is_of_no_use_to_anybody_else() {
        let (binder, alice) = (Binder::new(&[7; 32]), owner());
        let bound = binder.bind(&alice, b"abc").unwrap();
        let text = bound.to_str().unwrap();
        assert_eq!(binder.unbind(&owner(), &presented(&bound), true), Err(ForeignSession));
        assert_eq!(Binder::new(&[8; 32]).unbind(&alice, &presented(&bound), true), Err(ForeignSession));
        let token = testing::principal("alice", CredentialId::Token(TokenId::from_bytes([1; 16])));
        let mut abroad = token.clone();
        abroad.identity.issuer = Some("corp".parse().unwrap());
        let of_token = binder.bind(&token, b"abc").unwrap();
        assert_eq!(
            binder.unbind(&abroad, &presented(&of_token), true),
            Err(ForeignSession),
            "another's alice"
        );
        for spoiled in [
            "abc".to_owned(),
            "abc.".into(),
            "abc..".into(),
            text.replace("abc", "abd"),
            text[..text.len() - 1].into(),
            format!("{text}A"),
            ".".into(),
        ] {
            let value = HeaderValue::from_str(&spoiled).unwrap();
            assert_eq!(binder.unbind(&alice, &presented(&value), true), Err(ForeignSession), "{spoiled}");
        }
        let mut twice = presented(&bound).to_map();
        twice.append(SESSION_ID, bound);
        assert_eq!(binder.unbind(&alice, &Fields::from(&twice), true), Err(ForeignSession));
    }

    #[test]
    fn a_session_wants_no_fewer_scopes_than_it_was_opened_with() {
        let (binder, owner) = (Binder::new(&[7; 32]), owner());
        let many: Vec<String> = (0..MOST_NAMED + 1).map(|number| format!("scope:{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let fewer = &many[1..];
        let more = [&many[..], &["one:more"]].concat();
        for (opened, held, fits) in [
            (&["tools:list", "tools:call"][..], &["tools:call", "tools:list"][..], true),
            (&["tools:list"], &["tools:call", "tools:list"], true),
            (&["tools:list", "tools:call"], &["tools:list"], false),
            (&["tools:list"], &["tools:call"], false),
            (&["tools:list"], &[], false),
            (&[], &["tools:list"], true),
            (&["tools:list", "prompts:get"], &["mcp:*"], true),
            (&["mcp:*"], &["tools:list", "tools:call"], false),
            (fewer, &many, true),
            (&many, &many, true),
            (&many, fewer, false),
            (&many, &more, false),
            (&many, &["mcp:*"], true),
        ] {
            let bound = binder.bind(&with_scopes(&owner, opened), b"abc").unwrap();
            let came = binder.unbind(&with_scopes(&owner, held), &presented(&bound), true);
            assert_eq!(came.is_ok(), fits, "{opened:?} {held:?}");
            let calls = binder.unbind(&with_scopes(&owner, held), &presented(&bound), false);
            assert!(calls.is_ok(), "a call has scopes of its own");
        }
    }

    #[test]
    fn an_id_outside_of_visible_ascii_is_not_passed_on() {
        let binder = Binder::new(&[7; 32]);
        for id in [&b""[..], b"a b", b"a\xff"] {
            assert!(binder.bind(&owner(), id).is_none());
        }
    }
}
