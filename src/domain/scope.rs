//! Scopes and the catalogue that says which endpoints each covers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::endpoint::{BadPattern, Breadth, Endpoint, EndpointPattern, EndpointSet};
use super::name::ScopeName;

/// The scope that covers every endpoint, and that the catalogue always has.
pub const EVERYTHING: &str = "mcp:*";

/// What the scopes of this gateway's own endpoints begin with.
const OWN: &str = "oauth:";
/// Those endpoints.
const OWN_ENDPOINTS: [&str; 4] = ["oauth/token", "oauth/introspect", "oauth/revoke", "oauth/revoke-others"];

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
///
/// A copy of it is cheap beside its making: what was compiled is shared.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    scopes: BTreeMap<ScopeName, Arc<Compiled>>,
    /// Those that do not cover everything, the narrowest first.
    by_breadth: Vec<Arc<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    scope: Scope,
    covered: EndpointSet,
    breadth: Breadth,
}

impl Compiled {
    fn new(scope: Scope) -> Result<Arc<Self>, BadPattern> {
        let covered = EndpointSet::new(&scope.endpoints)?;
        let breadth = covered.breadth();
        Ok(Arc::new(Self { scope, covered, breadth }))
    }

    /// Its place among the others. No two have the same.
    fn rank(&self) -> (&Breadth, &ScopeName) {
        (&self.breadth, &self.scope.name)
    }
}

impl Catalogue {
    /// Of two scopes of one name the later one counts.
    pub fn new(scopes: impl IntoIterator<Item = Scope>) -> Result<Self, BadPattern> {
        let mut catalogue = Self::default();
        for scope in scopes {
            let name = scope.name.clone();
            catalogue.scopes.insert(name, Compiled::new(scope)?);
        }
        let narrow = catalogue.scopes.values().filter(|compiled| !compiled.covered.is_everything());
        catalogue.by_breadth = narrow.cloned().collect();
        catalogue.by_breadth.sort_unstable_by(|one, other| one.rank().cmp(&other.rank()));
        Ok(catalogue)
    }

    /// Adds a scope, or puts it in the place of the one that has its name. No other one is compiled again.
    pub fn put(&mut self, scope: Scope) -> Result<(), BadPattern> {
        let compiled = Compiled::new(scope)?;
        self.remove(&compiled.scope.name);
        if !compiled.covered.is_everything() {
            let place = self.by_breadth.partition_point(|other| other.rank() < compiled.rank());
            self.by_breadth.insert(place, compiled.clone());
        }
        self.scopes.insert(compiled.scope.name.clone(), compiled);
        Ok(())
    }

    /// Takes a scope out, if there is one of this name.
    pub fn remove(&mut self, name: &ScopeName) {
        if let Some(gone) = self.scopes.remove(name)
            && let Ok(place) = self.by_breadth.binary_search_by(|other| other.rank().cmp(&gone.rank()))
        {
            self.by_breadth.remove(place);
        }
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
        self.scopes.get(name).map(|compiled| &compiled.scope)
    }

    /// Whether nobody but this home itself says who has it: a scope of this gateway's own endpoints, by its name or by
    /// what it covers. One that covers everything covers those.
    pub fn is_reserved(&self, name: &ScopeName) -> bool {
        let covers_own = |compiled: &Arc<Compiled>| {
            let mut own = OWN_ENDPOINTS.iter().filter_map(|own| own.parse().ok());
            own.any(|own| compiled.covered.contains(&own))
        };
        is_own(name) || name.as_str() == EVERYTHING || self.scopes.get(name).is_some_and(covers_own)
    }

    /// By name.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.values().map(|compiled| &compiled.scope)
    }

    /// Whether one of `held` covers `endpoint`.
    pub fn covers(&self, held: &[ScopeName], endpoint: &Endpoint) -> bool {
        self.sets(held).any(|covered| covered.contains(endpoint))
    }

    /// Of the scopes that would suffice for `endpoint` the one that covers least, by what its patterns cover and then by
    /// name; never one that covers everything. What a 403 names: clients ask for all that is named.
    pub fn narrowest(&self, endpoint: &Endpoint) -> Option<&ScopeName> {
        let narrowest = self.by_breadth.iter().find(|compiled| compiled.covered.contains(endpoint));
        narrowest.map(|compiled| &compiled.scope.name)
    }

    /// The endpoints that `held` cover together, compiled once for the hot path.
    pub fn compile(&self, held: &[ScopeName]) -> EndpointSet {
        EndpointSet::union(self.sets(held))
    }

    fn sets<'a>(&'a self, held: &'a [ScopeName]) -> impl Iterator<Item = &'a EndpointSet> {
        held.iter().filter_map(|name| self.scopes.get(name)).map(|compiled| &compiled.covered)
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
            ("mcp:use", "tools/call/search", Some("/health")),
            ("mcp:use", "resources/read/file:///a/b.md", Some("oauth/token")),
            ("mcp:use", "completion/complete/prompts/get/x", Some("acme/run")),
            ("mcp:use", "tasks/result", Some("/tools/call/search")),
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
    fn the_narrowest_scope_that_would_do_is_named() {
        let catalogue = built_in();
        for (asked, narrowest) in [
            ("tools/list", Some("tools:list")),
            ("tools/call/x", Some("tools:call")),
            ("resources/list", Some("resources:list")),
            ("resources/templates/list", Some("resources:list")),
            ("resources/read/file:///a", Some("resources:read")),
            ("prompts/list", Some("prompts:list")),
            ("prompts/get/x", Some("prompts:get")),
            ("completion/complete", Some("completion:complete")),
            ("subscriptions/listen", Some("resources:subscribe")),
            ("/health", None),
            ("no/such", None),
        ] {
            let named = catalogue.narrowest(&endpoint(asked)).map(ScopeName::as_str);
            assert_eq!(named, narrowest, "{asked}");
        }
    }

    fn scope(name: &str, patterns: &[&str]) -> Scope {
        Scope {
            name: name.parse().unwrap(),
            description: String::new(),
            endpoints: patterns.iter().map(|pattern| pattern.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn what_is_narrow_is_decided_by_patterns_and_never_by_names_or_their_order() {
        let scopes = [
            scope("a:all", &["*", "*/**"]),
            scope("b:calls", &["tools/call/**"]),
            scope("c:search", &["tools/call/search_*"]),
            scope("d:one", &["tools/call/search_docs"]),
            scope("e:one", &["tools/call/search_docs"]),
            scope("f:two", &["tools/call/search_docs", "tools/call/delete"]),
        ];
        let named = |catalogue: &Catalogue, asked: &str| {
            catalogue.narrowest(&endpoint(asked)).map(|name| name.as_str().to_owned())
        };
        let forwards = Catalogue::new(scopes.clone()).unwrap();
        let mut one_by_one = Catalogue::default();
        for scope in scopes.iter().rev() {
            one_by_one.put(scope.clone()).unwrap();
        }
        for catalogue in [&forwards, &one_by_one] {
            for (asked, narrowest) in [
                ("tools/call/search_docs", Some("d:one")),
                ("tools/call/delete", Some("f:two")),
                ("tools/call/search_web", Some("c:search")),
                ("tools/call/search/web", Some("b:calls")),
                ("tools/list", None),
            ] {
                assert_eq!(named(catalogue, asked).as_deref(), narrowest, "{asked}");
            }
        }
        one_by_one.remove(&"d:one".parse().unwrap());
        one_by_one.put(scope("e:one", &["tools/**"])).unwrap();
        assert_eq!(named(&one_by_one, "tools/call/search_docs").as_deref(), Some("f:two"));
        assert_eq!(named(&one_by_one, "tools/list").as_deref(), Some("e:one"));
        assert_eq!(one_by_one.iter().count(), 5);
    }

    #[test]
    fn a_change_of_one_scope_compiles_no_other() {
        let before = built_in();
        let mut after = before.clone();
        after.put(scope("tools:list", &["tools/list", "tools/call/x"])).unwrap();
        for (name, compiled) in &before.scopes {
            assert_eq!(Arc::ptr_eq(compiled, &after.scopes[name]), name.as_str() != "tools:list", "{name}");
        }
        assert!(after.covers(&names(&["tools:list"]), &endpoint("tools/call/x")));
        assert!(!before.covers(&names(&["tools:list"]), &endpoint("tools/call/x")));
    }
}
