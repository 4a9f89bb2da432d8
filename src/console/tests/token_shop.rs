//! What the small store says of tokens and signing keys.

use std::time::Duration;

use serde_json::json;

use crate::console::effect::{
    Answer, Judged, KeyInUse, KeysInUse, Reach, Reached, TokenAnswer, TokenChoices, TokenCounts, TokenDeed,
    TokenDetail, TokenQuery, Window,
};
use crate::domain::decision::Reason;
use crate::domain::jose::{Algorithm, base64};
use crate::domain::name::Kid;
use crate::domain::revocation::{Revocation, Target};
use crate::domain::scope::Catalogue;
use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningKey;
use crate::domain::token::{Expected, IssuedToken, Revocations, TokenId, TokenState, Trust, inspect, judge};
use crate::ops::signing_key::Rotated;
use crate::ops::token::Issued;
use crate::store::token::{Refusal, Standing};

use super::shop::*;

/// Long enough that it takes several rows.
pub const TOKEN: &str = "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSIsImtpZCI6InNpZ24ifQ.eyJpc3MiOiJ1cm46cG9ydGN1bGxpczp4IiwiYXVkIjoidXJuOnBvcnRjdWxsaXM6eCIsInN1YiI6ImFuYSIsImp0aSI6IjdoMDAwMDAwMDAwMDAwMDAwMDAwMDAifQ.c2lnbmF0dXJlLXRoYXQtaXMtc2hvd24tb25jZS1hbmQtbmV2ZXItYWdhaW4tYXQtYWxs";

pub fn jti(number: usize) -> TokenId {
    TokenId::from_bytes(
        (number as u128 + 1).wrapping_mul(0x0517_cc1b_7272_20a9_4fe1_3abe_8fa9_a6ee).to_be_bytes(),
    )
}

pub fn kid(number: usize) -> Kid {
    ["t-next-2027", "t-active-2026", "t-verifying-2025", "t-retired-2024"][number].parse().unwrap()
}

pub fn token(number: usize) -> IssuedToken {
    let minute = Duration::from_secs(60);
    let issued_at = noon().minus(minute * (number as u32 + 1));
    // one in four has nearly ended, and one in four has
    let life = [minute * 60 * 8, minute * (number as u32 + 2), minute * 60, minute * (number as u32)];
    IssuedToken {
        jti: jti(number),
        subject: format!("user{number}@example.com").parse().unwrap(),
        client: format!("agent-{number}"),
        scopes: vec!["mcp:read".parse().unwrap(), "mcp:tools".parse().unwrap()],
        audience: vec!["https://mcp.example.com/mcp".into()],
        policy: "default".parse().unwrap(),
        bound: None,
        rests_on: Default::default(),
        max_uses: (number == 0).then_some(1),
        kid: kid(1),
        algorithm: Algorithm::EdDsa,
        issued_at,
        expires_at: issued_at.plus(life[number % 4]),
        issued_by: "console:ana".into(),
    }
}

pub fn standing(number: usize) -> Standing {
    let token = token(number);
    let refusal = (number % 4 == 2).then(|| {
        Refusal::Revoked(Revocation {
            target: Target::Token { id: token.jti },
            revoked_at: noon().minus(Duration::from_secs(30)),
            reason: "laptop lost".into(),
            ends_at: None,
        })
    });
    Standing { state: token.state(noon(), refusal.is_some()), token, refusal }
}

pub fn signing_keys() -> Vec<SigningKey> {
    let day = Duration::from_secs(86_400);
    (0..4)
        .map(|number| SigningKey {
            kid: kid(number),
            algorithm: [Algorithm::EdDsa, Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256][number],
            name: ["", "main", "", ""][number].into(),
            created_at: noon().minus(day * (number as u32 + 1)),
            signs_from: if number == 0 { noon().plus(day) } else { noon().minus(day * (number as u32 + 1)) },
            signs_until: (number == 2).then(|| noon().minus(day)),
            verifies_until: (number == 2).then(|| noon().plus(day)),
            retired_at: (number == 3).then(|| noon().minus(day)),
            public: (number != 3).then(|| json!({ "kty": "OKP", "kid": kid(number).as_str(), "x": "AAAA" })),
        })
        .collect()
}

/// A token that anybody may have written.
pub fn foreign() -> String {
    let header = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": "k1" });
    let seconds = noon().seconds();
    let claims = json!({
        "iss": "https://idp.example.com", "sub": "ana\u{202e}evil", "aud": ["a", "b"], "iat": seconds - 60,
        "exp": seconds + 3_540, "jti": "x1", "scope": "mcp:read",
    });
    format!("{}.{}.c2ln", base64::encode(header.to_string()), base64::encode(claims.to_string()))
}

impl Shop {
    pub fn answer_token(&self, query: &TokenQuery) -> TokenAnswer {
        match query {
            TokenQuery::Total(_) => TokenAnswer::Total(self.keys as u64),
            TokenQuery::Window { offset, limit, .. } => {
                let first = (*offset as usize).min(self.keys);
                let last = (first + *limit as usize).min(self.keys);
                TokenAnswer::Window(Window {
                    offset: first as u64,
                    rows: (first..last).map(|number| Ok(standing(number))).collect(),
                })
            }
            TokenQuery::Ids { offset, limit, .. } => {
                let first = *offset as usize;
                TokenAnswer::Ids((first..(first + *limit as usize).min(self.keys)).map(jti).collect())
            }
            TokenQuery::Place { id, .. } => {
                let place = (0..self.keys).position(|number| jti(number).to_string() == *id);
                TokenAnswer::Place(place.map(|place| place as u64))
            }
            TokenQuery::Detail { jti: wanted, .. } => {
                let number = (0..self.keys).find(|number| jti(*number) == *wanted).unwrap();
                TokenAnswer::Detail(Box::new(TokenDetail {
                    standing: standing(number),
                    policy: Some(revision("default", 3)),
                    covers: [("mcp:read".to_owned(), vec!["tools/list".to_owned(), "resources/**".into()])]
                        .into(),
                    series: Self::series(48),
                    day: Self::totals(9),
                    events: vec![Self::refusal(Reason::IpDenied, "x")],
                    audit: Vec::new(),
                }))
            }
            TokenQuery::Counts { .. } => {
                let live = self.keys as u64;
                TokenAnswer::Counts(TokenCounts { live, expiring: live / 20, revoked: live / 40 })
            }
            TokenQuery::Choices => TokenAnswer::Choices(Box::new(TokenChoices {
                catalogue: Catalogue::new(Catalogue::built_in()).unwrap(),
                policies: vec!["default".parse().unwrap(), "readers".parse().unwrap()],
                audience: "https://mcp.example.com/mcp".into(),
                keys: signing_keys().into_iter().filter(|key| key.signs_at(noon())).collect(),
            })),
            TokenQuery::Reach { reaches, .. } => {
                let live = |reach: &Reach| match reach {
                    Reach::Tokens(ids) => ids.len() as u64,
                    Reach::Subject(_) => 3,
                    Reach::Key(_) => 12,
                    Reach::IssuedBefore(_) => 30,
                };
                let reached = |reach| Reached { live: live(reach), calls: self.busy };
                TokenAnswer::Reached(reaches.iter().map(reached).collect())
            }
            TokenQuery::Judge { text, now } => {
                // nobody is trusted here
                let trust = Trust::new(Vec::new()).unwrap();
                let expected = Expected::new(Vec::new(), Duration::ZERO, *now);
                let verdict = judge(text.expose(), &trust, &Revocations::default(), &expected);
                TokenAnswer::Judged(Box::new(Judged {
                    verdict,
                    inspection: inspect(text.expose(), *now).ok(),
                }))
            }
            TokenQuery::SigningKeys { .. } => TokenAnswer::SigningKeys(KeysInUse {
                sound: signing_keys().into_iter().map(|key| KeyInUse { key, tokens: 12 }).collect(),
                damaged: self.damaged_keys.clone(),
            }),
        }
    }

    pub fn act_token(&self, deed: &TokenDeed) -> Answer {
        let keys = signing_keys();
        Answer::Token(match deed {
            TokenDeed::Issue(_) => TokenAnswer::Issued(Box::new(issued())),
            TokenDeed::Revoke { .. } | TokenDeed::RetireKey { .. } | TokenDeed::PurgeDamaged => {
                return Answer::Changed(1);
            }
            TokenDeed::CreateKey(_) | TokenDeed::ImportKey { .. } => {
                TokenAnswer::KeyMade(Box::new(keys[1].clone()))
            }
            TokenDeed::RotateKey { .. } => {
                TokenAnswer::Rotated(Box::new(Rotated { old: keys[1].clone(), new: keys[0].clone() }))
            }
        })
    }
}

pub fn issued() -> Issued {
    let token = token(0);
    assert_eq!(token.state(noon(), false), TokenState::Live);
    Issued { token, issuer: "urn:portcullis:x".into(), text: Secret::new(TOKEN.into()) }
}
