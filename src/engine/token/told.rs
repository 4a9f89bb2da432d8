//! What is told of this home to those who verify its tokens, ask for some, or ask about one.

use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::domain::{
    clock::Timestamp,
    decision::Reason,
    name::ScopeName,
    signing_key::key_set,
    token::{Profile, Verified},
};
use crate::engine::{Denied, Engine};
use crate::store::StoreError;

impl Engine {
    /// The public keys of this home as a JWK set, those that will sign later among them; empty where they cannot be read.
    pub fn key_set(&self, now: Timestamp) -> Value {
        let beliefs = self.snapshot.tokens().beliefs();
        let keys = beliefs.as_ref().as_ref().map(|known| known.keys.as_slice()).unwrap_or_default();
        key_set(keys, now)
    }

    /// The registered issuers that a client can get a token from, by their names for themselves (RFC 9728 §2).
    pub fn authorization_servers(&self) -> Vec<String> {
        let beliefs = self.snapshot.tokens().beliefs();
        let known = beliefs.as_ref().as_ref();
        let issuers = known.iter().flat_map(|known| known.issuers.values());
        let with_metadata =
            issuers.filter(|issuer| issuer.url.is_some() && issuer.profile != Profile::Legacy);
        let mut names: Vec<_> = with_metadata.filter_map(|issuer| issuer.iss.clone()).collect();
        names.sort();
        names
    }

    /// Takes also tokens for `resources`: the URLs by which the gateway knows its own MCP endpoint.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn serve_at(&self, resources: Vec<String>) -> Result<(), StoreError> {
        self.snapshot.tokens().add_resources(resources);
        self.store.read(|c| self.snapshot.read_beliefs(c))
    }

    /// What tokens for this home are for.
    pub fn audiences(&self) -> Vec<String> {
        let beliefs = self.snapshot.tokens().beliefs();
        beliefs.as_ref().as_ref().map(|known| known.audiences.to_vec()).unwrap_or_default()
    }

    /// The scopes that a client may want for the MCP server: neither the one that covers everything, which nobody should
    /// ask for unasked, nor those of this gateway's own endpoints.
    pub fn wanted_scopes(&self) -> Vec<String> {
        let catalogue = self.snapshot.access().catalogue();
        let wanted = catalogue.iter().map(|scope| &scope.name).filter(|name| !catalogue.is_reserved(name));
        wanted.map(ToString::to_string).collect()
    }

    /// Looks at a token as a call with it would be judged, without a call: nothing is used up, no policy is asked.
    ///
    /// # Errors
    /// Why it would not be taken.
    pub fn look_at_token(&self, text: &str, now: Timestamp) -> Result<Arc<Verified>, Denied> {
        let entry = self.believe(text, Sha256::digest(text).into(), self.judge_by(now))?;
        Ok(Arc::clone(&entry.verified))
    }

    /// The same, with the scopes that it has here: those of others count as their issuer's mapping has them, and none beyond
    /// the ceiling of the policy or the key that it rests on.
    ///
    /// # Errors
    /// As [`Engine::look_at_token`]; where its policy is not there, [`Reason::Unavailable`].
    pub fn look_at_reach(
        &self,
        text: &str,
        now: Timestamp,
    ) -> Result<(Arc<Verified>, Arc<[ScopeName]>), Denied> {
        let entry = self.believe(text, Sha256::digest(text).into(), self.judge_by(now))?;
        let scopes = entry.scopes().ok_or_else(|| Denied::of(&entry.verified, Reason::Unavailable))?;
        Ok((Arc::clone(&entry.verified), scopes))
    }
}
