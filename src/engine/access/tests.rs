use super::*;
use crate::domain::{policy::Policy, scope::Scope};

fn scopes(names: &[&str]) -> Vec<ScopeName> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn catalogue() -> Arc<Catalogue> {
    Arc::new(Catalogue::new(Catalogue::built_in()).unwrap())
}

fn open_policy(revision: u32) -> Option<Arc<CompiledPolicy>> {
    Some(CompiledPolicy::new(Policy::new(PolicyName::default()), revision).unwrap())
}

fn slot(policy: &mut PolicyAccess, scopes: &[ScopeName]) -> Arc<AccessSlot> {
    policy.slot(&PolicyName::default(), scopes)
}

#[test]
fn a_missing_policy_gives_no_access_until_it_is_there() {
    let mut policy = PolicyAccess::default();
    let first = slot(&mut policy, &scopes(&["mcp:*"]));
    assert!(first.load().is_none());
    policy.exchange(open_policy(1), &catalogue());
    assert!(first.load().is_some());
    policy.exchange(None, &catalogue());
    assert!(first.load().is_none());
    policy.recatalogue(&catalogue());
    assert!(first.load().is_none(), "a catalogue brings no policy back");
}

#[test]
fn equal_scopes_share_one_access_and_unused_ones_are_forgotten() {
    let mut policy = PolicyAccess::new(open_policy(1), &catalogue());
    let first = slot(&mut policy, &scopes(&["mcp:*"]));
    assert!(Arc::ptr_eq(&first, &slot(&mut policy, &scopes(&["mcp:*"]))));
    assert!(!Arc::ptr_eq(&first, &slot(&mut policy, &scopes(&["tools:list"]))));
    for number in 0..10_000 {
        slot(&mut policy, &scopes(&[&format!("s:{number}")]));
        assert!(policy.slots() <= 64);
    }
    assert!(Arc::ptr_eq(&first, &slot(&mut policy, &scopes(&["mcp:*"]))), "what is used stays");
}

#[test]
fn what_scopes_cover_is_compiled_once_for_each_catalogue_and_policy() {
    let covered = |slot: &AccessSlot| Arc::clone(&slot.load().as_ref().unwrap().covered);
    let mut policy = PolicyAccess::new(open_policy(1), &catalogue());
    let first = slot(&mut policy, &scopes(&["tools:list", "prompts:get"]));
    let other = slot(&mut policy, &scopes(&["tools:list"]));
    let before = covered(&first);
    assert!(Arc::ptr_eq(&before, &covered(&first)) && Arc::ptr_eq(&before, &covered(&first)));
    assert!(!Arc::ptr_eq(&before, &covered(&other)), "other scopes never share it");

    let mut changed = Catalogue::clone(&catalogue());
    let endpoints = vec!["tools/call/x".parse().unwrap()];
    changed
        .put(Scope { name: "tools:list".parse().unwrap(), description: String::new(), endpoints })
        .unwrap();
    policy.recatalogue(&Arc::new(changed));
    let after = covered(&first);
    assert!(!Arc::ptr_eq(&before, &after) && Arc::ptr_eq(&after, &covered(&first)));
    let (list, call) = ("tools/list".parse().unwrap(), "tools/call/x".parse().unwrap());
    assert!(before.contains(&list) && !after.contains(&list) && after.contains(&call));
    assert!(!covered(&other).contains(&list));

    policy.exchange(open_policy(2), &catalogue());
    let revision = |slot: &AccessSlot| slot.load().as_ref().unwrap().policy.revision;
    assert_eq!((revision(&first), revision(&other)), (2, 2));
    assert!(covered(&first).contains(&list));
}

#[test]
fn a_change_touches_no_slot_and_counts_at_the_next_look() {
    let mut policy = PolicyAccess::new(open_policy(1), &catalogue());
    let slots: Vec<_> =
        (0..100).map(|number| slot(&mut policy, &scopes(&["mcp:*", &format!("s:{number}")]))).collect();
    let held: Vec<_> = slots.iter().map(|slot| slot.load().as_ref().map(Arc::clone).unwrap()).collect();
    policy.exchange(open_policy(2), &catalogue());
    // The slot and whoever holds what it gave: nothing of it was made again.
    assert!(held.iter().all(|access| Arc::strong_count(access) == 2));
    assert!(slots.iter().all(|slot| slot.load().as_ref().unwrap().policy.revision == 2));
    assert!(held.iter().all(|access| Arc::strong_count(access) == 1));
}
