//! Scopes and the catalogue that says which endpoints each covers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::endpoint::{BadPattern, Endpoint, EndpointPattern, EndpointSet};
use super::name::ScopeName;

/// The scope that covers every endpoint, and that the catalogue always has.
pub const EVERYTHING: &str = "mcp:*";

/// What the scopes of this gateway's own endpoints begin with.
const OWN: &str = "oauth:";
/// Those endpoints.
const OWN_ENDPOINTS: [&str; 3] = ["oauth/token", "oauth/introspect", "oauth/revoke"];

/// Whether who holds `held` may be given `scope`: it is one of them, or they cover everything.
pub fn holds(held: &[ScopeName], scope: &ScopeName) -> bool {
    held.iter().any(|own| own == scope || own.as_str() == EVERYTHING)
}

/// Whether it is a scope of this gateway's own endpoints, by its name.
pub fn is_own(scope: &ScopeName) -> bool {
    scope.as_str().starts_with(OWN)
}

/// One entry of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scope {
    pub name: ScopeName,
    pub description: String,
    /// The endpoints it covers. `mcp:*` covers every endpoint, HTTP paths included.
    pub endpoints: Vec<EndpointPattern>,
}

/// All scopes there are. A call needs a scope that covers its endpoint; a scope outside the
/// catalogue is refused when a credential is issued, and covers nothing.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    scopes: BTreeMap<ScopeName, (Scope, EndpointSet)>,
}

impl Catalogue {
    /// Of two scopes of one name the later one counts.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, BadPattern> {
        let mut catalogue = Self::default();
        for scope in scopes {
            let covered = EndpointSet::new(&scope.endpoints)?;
            catalogue.scopes.insert(scope.name.clone(), (scope, covered));
        }
        Ok(catalogue)
    }

    /// The scopes that come with Portcullis (`assets/scopes.toml`).
    pub fn built_in() -> Vec<Scope> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            scope: Vec<Scope>,
        }
        #[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
        let document: Document =
            toml::from_str(include_str!("../../assets/scopes.toml")).expect("assets/scopes.toml is valid");
        document.scope
    }

    pub fn get(&self, name: &ScopeName) -> Option<&Scope> {
        self.scopes.get(name).map(|(scope, _)| scope)
    }

    /// Whether nobody but this home itself says who has it: a scope of this gateway's own endpoints, by its name or by
    /// what it covers. One that covers everything covers those.
    pub fn is_reserved(&self, name: &ScopeName) -> bool {
        let covers_own = |(_, covered): &(Scope, EndpointSet)| {
            OWN_ENDPOINTS.iter().filter_map(|own| own.parse().ok()).any(|own| covered.contains(&own))
        };
        is_own(name) || name.as_str() == EVERYTHING || self.scopes.get(name).is_some_and(covers_own)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values().map(|(scope, _)| scope)
    }

    /// Whether one of `held` covers `endpoint`.
    pub fn covers(&self, held: &[ScopeName], endpoint: &Endpoint) -> bool {
        self.sets(held).any(|covered| covered.contains(endpoint))
    }

    /// Every scope that would suffice for `endpoint`, by name: what a 403 names in its challenge.
    pub fn sufficient(&self, endpoint: &Endpoint) -> Vec<ScopeName> {
        let covering = self.scopes.iter().filter(|(_, (_, covered))| covered.contains(endpoint));
        covering.map(|(name, _)| name.clone()).collect()
    }

    /// The endpoints that `held` cover together, compiled once for the hot path.
    pub fn compile(&self, held: &[ScopeName]) -> EndpointSet {
        EndpointSet::union(self.sets(held))
    }

    fn sets<'a>(&'a self, held: &'a [ScopeName]) -> impl Iterator<Item = &'a EndpointSet> {
        held.iter().filter_map(|name| self.scopes.get(name)).map(|(_, covered)| covered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<ScopeName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn endpoint(text: &str) -> Endpoint {
        text.parse().unwrap()
    }

    fn built_in() -> Catalogue {
        Catalogue::new(Catalogue::built_in()).unwrap()
    }

    #[test]
    fn the_built_in_scopes_are_described_and_have_one_name_each() {
        let scopes = Catalogue::built_in();
        assert_eq!(built_in().iter().count(), scopes.len());
        assert!(scopes.iter().all(|scope| !scope.description.is_empty() && !scope.endpoints.is_empty()));
        assert!(built_in().get(&EVERYTHING.parse().unwrap()).is_some());
    }

    #[test]
    fn a_scope_covers_its_endpoints_and_no_others() {
        let catalogue = built_in();
        for (held, covered, not_covered) in [
            ("mcp:*", "tools/call/delete_all", None),
            ("mcp:*", "/metrics", None),
            ("mcp:read", "resources/read/file:///a/b.md", Some("tools/call/search")),
            ("mcp:read", "tools/list", Some("/tools/list")),
            ("tools:list", "tools/list", Some("tools/call/search")),
            ("tools:call", "tools/call/search/deep", Some("prompts/get/x")),
            ("tools:call", "tools/list", Some("tools/listing")),
            ("resources:list", "resources/templates/list", Some("resources/read/file:///a")),
            ("resources:read", "resources/read/file:///a", Some("tools/list")),
            ("prompts:get", "prompts/get/review", Some("tools/call/review")),
            ("completion:complete", "completion/complete", Some("completion/completely")),
            ("logging:set", "logging/setLevel", Some("logging/setlevel")),
            ("tasks:*", "tasks/cancel", Some("tools/call/tasks")),
        ] {
            assert!(catalogue.covers(&names(&[held]), &endpoint(covered)), "{held} covers {covered}");
            if let Some(other) = not_covered {
                assert!(!catalogue.covers(&names(&[held]), &endpoint(other)), "{held} leaves out {other}");
            }
        }
    }

    #[test]
    fn scopes_add_up_and_unknown_ones_cover_nothing() {
        let catalogue = built_in();
        let covered = catalogue.compile(&names(&["tools:list", "prompts:get", "no:such"]));
        assert!(covered.contains(&endpoint("tools/list")));
        assert!(covered.contains(&endpoint("prompts/get/x")));
        assert!(!covered.contains(&endpoint("resources/list")));
        assert!(catalogue.compile(&names(&["no:such"])).is_empty());
        assert!(catalogue.compile(&[]).is_empty());
    }

    #[test]
    fn every_sufficient_scope_is_named() {
        let catalogue = built_in();
        assert_eq!(catalogue.sufficient(&endpoint("tools/call/x")), names(&["mcp:*", "tools:call"]));
        assert_eq!(catalogue.sufficient(&endpoint("/health")), names(&["mcp:*"]));
    }
}
