//! Session ids of the old era, bound to whoever opened the session: an API key, or a subject with its tokens, so that a
//! session outlives a token that is exchanged for a fresh one.
//!
//! The upstream makes the id; the client sees `<upstream id>.<tag>`, where the tag is a MAC over owner and id. The
//! gateway keeps nothing: a session outlives a restart, and any gateway on the same home knows it. A session id is not
//! a proof of identity (MCP 2025-11-25, Security Best Practices, Session Hijacking): each request is judged by its
//! credential, and the tag only ties the two together.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::domain::decision::Account;
use crate::gateway::wire::{Fields, Several, text};

pub const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");

/// Characters of a tag: 132 bits.
const TAG: usize = 22;

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

    fn tag(&self, account: &Account, upstream_id: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(account.to_string().as_bytes());
        mac.update(&[0]);
        mac.update(upstream_id);
        let mut tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
        tag.truncate(TAG);
        tag
    }

    /// The id for the client. `None` where the upstream's is not visible ASCII, as MCP wants it.
    pub fn bind(&self, account: &Account, upstream_id: &[u8]) -> Option<HeaderValue> {
        let is_visible = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_graphic());
        let id = text(upstream_id).filter(is_visible)?;
        HeaderValue::from_str(&format!("{id}.{}", self.tag(account, id.as_bytes()))).ok()
    }

    /// The id for the upstream, where the client presents one.
    pub fn unbind(&self, account: &Account, headers: &Fields) -> Result<Option<HeaderValue>, ForeignSession> {
        let value = headers.single(&SESSION_ID).map_err(|Several| ForeignSession)?;
        let Some(value) = value else { return Ok(None) };
        let (id, tag) = text(value).and_then(|text| text.rsplit_once('.')).ok_or(ForeignSession)?;
        let expected = self.tag(account, id.as_bytes());
        if !bool::from(expected.as_bytes().ct_eq(tag.as_bytes())) {
            return Err(ForeignSession);
        }
        HeaderValue::from_str(id).map(Some).map_err(|_| ForeignSession)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::KeyId;
    use http::HeaderMap;

    fn account() -> Account {
        Account::ApiKey(KeyId::generate().unwrap())
    }

    fn presented(id: &HeaderValue) -> Fields {
        Fields::from(&HeaderMap::from_iter([(SESSION_ID, id.clone())]))
    }

    #[test]
    fn an_id_comes_back_to_the_upstream_as_it_was() {
        let (binder, owner) = (Binder::new(&[7; 32]), account());
        for id in ["abc", "with.dots.in.it", "!~"] {
            let bound = binder.bind(&owner, id.as_bytes()).unwrap();
            assert_ne!(bound, id);
            assert_eq!(binder.unbind(&owner, &presented(&bound)), Ok(Some(HeaderValue::from_static(id))));
            // Another gateway on the same home knows it too.
            assert_eq!(Binder::new(&[7; 32]).unbind(&owner, &presented(&bound)).unwrap().unwrap(), id);
        }
        assert_eq!(binder.unbind(&owner, &Fields::default()), Ok(None));
    }

    #[test]
    fn an_id_is_of_no_use_to_anybody_else() {
        let (binder, owner) = (Binder::new(&[7; 32]), account());
        let bound = binder.bind(&owner, b"abc").unwrap();
        let text = bound.to_str().unwrap();
        assert_eq!(binder.unbind(&account(), &presented(&bound)), Err(ForeignSession));
        assert_eq!(Binder::new(&[8; 32]).unbind(&owner, &presented(&bound)), Err(ForeignSession));
        for spoiled in [
            "abc".to_owned(),
            "abc.".into(),
            text.replace("abc", "abd"),
            text[..text.len() - 1].into(),
            format!("{text}A"),
            ".".into(),
        ] {
            let value = HeaderValue::from_str(&spoiled).unwrap();
            assert_eq!(binder.unbind(&owner, &presented(&value)), Err(ForeignSession), "{spoiled}");
        }
        let mut twice = presented(&bound).to_map();
        twice.append(SESSION_ID, bound);
        assert_eq!(binder.unbind(&owner, &Fields::from(&twice)), Err(ForeignSession));
    }

    #[test]
    fn an_id_outside_of_visible_ascii_is_not_passed_on() {
        let binder = Binder::new(&[7; 32]);
        for id in [&b""[..], b"a b", b"a\xff"] {
            assert!(binder.bind(&account(), id).is_none());
        }
    }
}
