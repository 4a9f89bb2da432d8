//! What the home remembers of its store.
use super::*;
use crate::{
    domain::{
        act::Act,
        audit::{ChainKey, Hash, Record},
    },
    store::{
        anchor::{Anchor, MOST_STOPS, file, of, read, write},
        audit, vault_entry,
    },
    vault::AuditSigner,
};

fn place() -> (Place, AuditSigner) {
    let place = Place::new();
    let store = place.open();
    let vault =
        vault_entry::open_or_create(&store, &place.home, NOW, |_, _| Ok::<_, StoreError>(())).unwrap();
    (place, vault.audit_signer().clone())
}

fn anchor(seq: i64) -> Anchor {
    let stop = |seq| Record {
        seq,
        at: NOW,
        actor: "cli:alice".into(),
        act: "key.revoke".into(),
        object: "k".into(),
        detail: serde_json::json!({ "reason": "naïve \n" }),
    };
    Anchor {
        store_id: "s".into(),
        seq,
        hash: Hash::GENESIS.to_hex(),
        at: NOW,
        begun: 0,
        stops_after: 0,
        stops: (1..=seq).map(stop).collect(),
    }
}

#[test]
fn what_is_remembered_is_read_as_it_was_written_and_nothing_else_is_believed() {
    let (place, signer) = place();
    let key = ChainKey::parse(&signer.public_key_pem().unwrap());
    assert!(read(place.home.path()).unwrap().is_none());
    write(place.home.path(), &anchor(3), &signer).unwrap();
    assert_eq!(read(place.home.path()).unwrap().unwrap().open(key.as_ref()), Ok(anchor(3)));
    let path = file(place.home.path());
    let text = fs::read(&path).unwrap();
    for at in 0..text.len() {
        let mut bytes = text.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        let opened = read(place.home.path()).map(|found| found.unwrap().open(key.as_ref()));
        assert!(!matches!(opened, Ok(Ok(_))), "byte {at} may be changed");
    }
    for end in [0, 1, text.len() / 2, text.len() - 1] {
        fs::write(&path, &text[..end]).unwrap();
        assert!(read(place.home.path()).unwrap().unwrap().open(key.as_ref()).is_err(), "cut at {end}");
    }
}

#[test]
fn an_anchor_is_never_written_longer_than_one_that_is_read() {
    let (place, signer) = place();
    let key = ChainKey::parse(&signer.public_key_pem().unwrap());
    let mut long = anchor(500);
    for stop in &mut long.stops {
        stop.act = "key.purge".into();
        stop.detail = serde_json::json!({ "keys": vec!["0123456789abcdefghij"; 1000] });
    }
    write(place.home.path(), &long, &signer).unwrap();
    let bytes = fs::metadata(file(place.home.path())).unwrap().len();
    assert!((8 << 20) - (64 << 10) < bytes && bytes <= 8 << 20, "{bytes}");
    let found = read(place.home.path()).unwrap().unwrap().open(key.as_ref()).unwrap();
    let kept = found.stops.len();
    assert_eq!(found.stops, long.stops[500 - kept..], "the newest are kept");
    assert_eq!(found.stops_after, 500 - i64::try_from(kept).unwrap());
    assert_eq!(Anchor { stops: long.stops.clone(), stops_after: 0, ..found }, long);
    // One that is too long by itself goes too.
    long.stops = vec![long.stops[499].clone()];
    long.stops[0].detail = serde_json::json!({ "keys": ["x".repeat(9 << 20)] });
    write(place.home.path(), &long, &signer).unwrap();
    let found = read(place.home.path()).unwrap().unwrap().open(key.as_ref()).unwrap();
    assert_eq!((found.seq, found.stops_after, found.stops), (500, 500, Vec::new()));
}

#[test]
fn the_newest_stops_are_remembered_and_it_is_known_from_where_on_all_are() {
    let (place, _) = place();
    let store = place.open();
    let append = |act, times: usize| {
        store
            .write(move |c| {
                for _ in 0..times {
                    audit::append(c, NOW, "cli:alice", act, "k", serde_json::json!({}))?;
                }
                Ok::<_, StoreError>(())
            })
            .unwrap();
    };
    append(Act::KeyCreate, 2);
    append(Act::KeyDisable, 3);
    let first = store.read(|c| of(c, None, NOW)).unwrap();
    assert_eq!((first.seq, first.stops.len(), first.stops_after), (5, 3, 0));
    append(Act::KeyRevoke, MOST_STOPS);
    let second = store.read(|c| of(c, Some(&first), NOW)).unwrap();
    assert_eq!((second.seq, second.stops.len()), (1005, MOST_STOPS));
    assert_eq!((second.stops_after, second.stops[0].seq), (5, 6));
    append(Act::KeyCreate, 1);
    append(Act::PolicyApply, 1);
    let third = store.read(|c| of(c, Some(&second), NOW)).unwrap();
    assert_eq!((third.seq, &third.stops), (1007, &second.stops), "what cannot be done again needs no place");
    let anew = store.read(|c| of(c, None, NOW)).unwrap();
    assert_eq!((first.begun, third.begun, anew.begun), (5, 5, 1007));
    assert_eq!(third, Anchor { begun: 5, ..anew }, "it does not matter when it was looked at");
    append(Act::KeyDisable, 3 * MOST_STOPS);
    let last = store.read(|c| of(c, Some(&third), NOW)).unwrap();
    assert_eq!((last.stops.len(), last.stops_after, last.stops[0].seq), (MOST_STOPS, 3007, 3008));
}
