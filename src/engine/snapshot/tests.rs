use super::*;
use crate::domain::policy::Policy;

fn scopes(names: &[&str]) -> Vec<ScopeName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn catalogue() -> Catalogue {
    Catalogue::new(Catalogue::built_in()).unwrap()
}

#[test]
fn a_missing_policy_gives_no_access_until_it_is_there() {
    let mut policy = PolicyAccess::default();
    let slot = policy.slot(&catalogue(), &PolicyName::default(), &scopes(&["mcp:*"]));
    assert!(slot.load().is_none());
    policy.compiled = Some(CompiledPolicy::new(Policy::new(PolicyName::default()), 1).unwrap());
    policy.fill(&catalogue());
    assert!(slot.load().is_some());
    policy.compiled = None;
    policy.fill(&catalogue());
    assert!(slot.load().is_none());
}

#[test]
fn equal_scopes_share_one_access_and_unused_ones_are_forgotten() {
    let mut policy = PolicyAccess::default();
    let first = policy.slot(&catalogue(), &PolicyName::default(), &scopes(&["mcp:*"]));
    assert!(Arc::ptr_eq(&first, &policy.slot(&catalogue(), &PolicyName::default(), &scopes(&["mcp:*"]))));
    assert!(!Arc::ptr_eq(
        &first,
        &policy.slot(&catalogue(), &PolicyName::default(), &scopes(&["tools:list"]))
    ));
    drop(first);
    policy.slot(&catalogue(), &PolicyName::default(), &scopes(&["tools:call"]));
    assert_eq!(policy.slots.len(), 1);
}
