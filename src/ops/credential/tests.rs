use rusqlite::Connection;

use super::*;
use crate::{
    domain::scope::Scope,
    ops::{
        api_key::{self as keys, NewKey},
        bench::{Bench, new_key, new_token},
        policy, scope, token as tokens,
    },
    store::home::STORE,
};

const SCOPE: &str = "reports:read";

/// One of each kind, of `carol`, with a scope of its own.
fn made(bench: &Bench, kind: Kind) -> CredentialId {
    let subject: Subject = "carol".parse().unwrap();
    let scopes = vec![SCOPE.parse().unwrap()];
    match kind {
        Kind::ApiKey => {
            let new = NewKey { subject, scopes, ..new_key() };
            CredentialId::ApiKey(keys::create(&bench.ctx, new).unwrap().key.id)
        }
        Kind::Token => {
            let new = new_token("default", |new| (new.subject, new.scopes) = (subject, scopes));
            CredentialId::Token(tokens::issue(&bench.ctx, new).unwrap().token.jti)
        }
    }
}

/// Writes past the store into the row of a credential.
fn tamper(bench: &Bench, id: CredentialId) {
    let table = match id {
        CredentialId::ApiKey(_) => "api_key SET subject = 'mallory' WHERE id",
        CredentialId::Token(_) => "token SET subject = 'mallory' WHERE jti",
    };
    let books = Connection::open(bench.home.path().join(STORE)).unwrap();
    assert_eq!(books.execute(&format!("UPDATE {table} = ?1"), [id.to_string()]), Ok(1));
}

#[test]
fn whatever_goes_over_credentials_goes_over_this_kind() {
    for kind in Kind::ALL {
        let bench = Bench::new();
        let scope = Scope {
            name: SCOPE.parse().unwrap(),
            description: "Read reports".into(),
            endpoints: vec!["tools/call/report".parse().unwrap()],
        };
        scope::set(&bench.ctx, scope).unwrap();
        let counted = |kind| {
            let (now, policy) = (bench.now(), PolicyName::default());
            bench
                .ctx
                .store
                .read(|c| -> Result<_, StoreError> {
                    let counts = credential::counts(c, now, now)?;
                    let counted = counts.iter().filter(|(of, _)| *of == kind).map(|(_, counts)| counts.all());
                    Ok((counted.sum::<u64>(), credential::under(c, kind, &policy, now)?))
                })
                .unwrap()
        };
        let of_policy = || policy::list(&bench.ctx).unwrap()[0].1;
        assert_eq!((counted(kind), of_policy()), ((0, 0), 0), "{kind:?}");

        let id = made(&bench, kind);
        assert_eq!((id.kind(), counted(kind), of_policy()), (kind, (1, 1), 1), "{kind:?}");
        for other in Kind::ALL.into_iter().filter(|other| *other != kind) {
            assert_eq!(counted(other), (0, 0), "a {} is no {}", kind.noun(), other.noun());
        }
        let found = show(&bench.ctx, &id.to_string()).unwrap().expect("found by its id");
        assert_eq!((found.id(), found.subject().as_str()), (id, "carol"));
        let told = scope::remove(&bench.ctx, &SCOPE.parse().unwrap()).unwrap_err().to_string();
        assert!(told.contains(kind.command()), "{told}");

        assert_eq!(purge_damaged(&bench.ctx, kind).unwrap(), 0, "sound: {kind:?}");
        tamper(&bench, id);
        assert!(show(&bench.ctx, &id.to_string()).unwrap().is_none(), "{kind:?}");
        let examined = bench.ctx.store.read(crate::store::examine::examine).unwrap();
        let named = examined.damaged.iter().filter(|error| error.to_string().contains(&id.to_string()));
        assert_eq!(named.count(), 1, "{kind:?}");
        let act = match kind {
            Kind::ApiKey => Act::KeyPurge,
            Kind::Token => Act::TokenPurge,
        };
        assert_eq!(bench.one_record(act, "", |ctx| purge_damaged(ctx, kind)).unwrap(), 1);
        assert_eq!((counted(kind), of_policy()), ((0, 0), 0), "{kind:?}");
    }
}
