//! What holds for any token.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::domain::jose::{Header, join, signing_input};

static SCENE: LazyLock<Scene> = LazyLock::new(Scene::with_every_algorithm);

fn issue(signer: &Signer, claims: &Claims) -> String {
    let header = Header {
        alg: signer.algorithm(),
        typ: Some(ACCESS_TOKEN.into()),
        kid: Some(signer.algorithm().as_str().into()),
    };
    let input = signing_input(&header, &claims.to_json());
    join(&input, &signer.sign(input.as_bytes()))
}

prop_compose! {
    fn claims()(
        subject in "[a-zA-Z0-9@. é名]{1,40}".prop_filter("spaces at the ends", |text| text.trim() == text),
        audience in prop::collection::vec("[!-~]{1,20}", 0..3),
        scopes in prop::collection::btree_set("[a-z:.*]{1,12}", 0..4),
        life in 1..86_400_i64,
        id in any::<[u8; 16]>(),
        uses in prop::option::of(1..u32::MAX),
        client in prop::option::of("[ -~]{1,20}"),
        jkt in prop::option::of(any::<[u8; 32]>()),
        minute in prop::option::of(0..1000_u32),
        parents in prop::collection::vec(any::<[u8; 16]>(), 0..=MOST_PARENTS),
    ) -> Claims {
        let moment = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let parent = |jti| {
            let kid = SCENE.home[0].algorithm().as_str().parse().unwrap();
            Parent { jti: TokenId::from_bytes(jti), kid, issued_at: moment(NOW) }
        };
        let bound = minute.map(|minute| Bound::read(&json!({"rate_limits": {"requests_per_minute": minute}})).unwrap());
        Claims {
            id: TokenId::from_bytes(id),
            issuer: Some(HOME.into()),
            subject: subject.parse().unwrap(),
            audience: [audience, vec![RESOURCE.into()]].concat(),
            expires_at: moment(NOW + life),
            not_before: Some(moment(NOW)),
            issued_at: moment(NOW),
            client_id: client,
            scopes: scopes.into_iter().collect(),
            policy: Some(PolicyName::default()),
            bound,
            confirmation: jkt.map(|jkt| Confirmation { jkt: Some(jkt), certificate: None }),
            max_uses: uses.and_then(std::num::NonZeroU32::new),
            grounds: Grounds { key: None, parents: parents.into_iter().map(parent).collect() },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_issued_is_believed_and_read_alike(claims in claims()) {
        for signer in &SCENE.home {
            let token = issue(signer, &claims);
            let verified = authenticate(&token, &SCENE.trust, &SCENE.revocations, &SCENE.expected);
            prop_assert_eq!(verified.map(|verified| verified.claims), Ok(claims.clone()), "{}", token);
        }
    }

    #[test]
    fn a_token_with_any_bit_flipped_is_refused(claims in claims(), place in any::<prop::sample::Index>(), bit in 0..7_u8) {
        for signer in &SCENE.home {
            let token = issue(signer, &claims);
            let mut bytes = token.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let flipped = String::from_utf8(bytes).unwrap();
            prop_assert!(SCENE.reason(&flipped).is_some(), "{}", flipped);
        }
    }

    #[test]
    fn a_token_cut_anywhere_is_refused(claims in claims(), place in any::<prop::sample::Index>()) {
        for signer in &SCENE.home {
            let token = issue(signer, &claims);
            prop_assert!(SCENE.reason(&token[..place.index(token.len())]).is_some());
        }
    }

    #[test]
    fn no_text_makes_the_judge_panic(text in any::<String>(), parts in "[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}\\.[A-Za-z0-9_-]{0,20}") {
        prop_assert!(SCENE.reason(&text).is_some() && SCENE.reason(&parts).is_some());
    }
}
