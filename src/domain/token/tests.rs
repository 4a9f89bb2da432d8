use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::clock::Timestamp;
use crate::domain::decision::Reason;
use crate::domain::jose::Algorithm;
use crate::domain::name::PolicyName;
use signer::Signer;

mod attacks;
mod forms;
mod judging;
mod properties;
mod revoking;
mod signer;

const NOW: i64 = 2_000_000_000;
const HOME: &str = "https://mcp.example";
const RESOURCE: &str = "https://mcp.example/mcp";
const IDP: &str = "https://idp.example/realms/a";

/// A home with a key of each kind that it signs with, and an issuer of either other profile.
struct Scene {
    home: Vec<Signer>,
    idp: Signer,
    legacy: Signer,
    trust: Trust,
    revocations: Revocations,
    expected: Expected,
}

impl Scene {
    /// With what is quickly made; RSA keys are not.
    fn new() -> Self {
        Self::with(&[Algorithm::EdDsa, Algorithm::Es256, Algorithm::Hs256])
    }

    fn with_every_algorithm() -> Self {
        Self::with(&Algorithm::ISSUED)
    }

    fn with(algorithms: &[Algorithm]) -> Self {
        let home: Vec<Signer> =
            algorithms.iter().map(|algorithm| Signer::new(*algorithm, algorithm.as_str())).collect();
        let (idp, legacy) = (Signer::new(Algorithm::Es256, "idp-1"), Signer::new(Algorithm::Hs256, "old"));
        let trusted = |signer: &Signer| TrustedKey { key: signer.key(), until: None };
        let issuer = |name: Option<&str>, profile, iss: &[&str], keys: Vec<TrustedKey>| TrustedIssuer {
            name: name.map(|name| name.parse().unwrap()),
            profile,
            iss: iss.iter().map(|&iss| iss.to_owned()).collect(),
            audiences: Vec::new(),
            algorithms: keys.iter().map(|trusted| trusted.key.algorithm()).collect(),
            names: ClaimNames::default(),
            keys,
        };
        let home_keys = |home: &[Signer]| home.iter().map(trusted).collect();
        let trust = Trust::new(vec![
            issuer(None, Profile::AtJwt, &[HOME, "urn:portcullis:1"], home_keys(&home)),
            issuer(Some("corp"), Profile::Oidc, &[IDP], vec![trusted(&idp)]),
            issuer(Some("old"), Profile::Legacy, &[], vec![trusted(&legacy)]),
        ])
        .unwrap();
        let expected = Expected::new(
            vec![RESOURCE.to_owned()],
            Duration::from_secs(30),
            Timestamp::from_millis(NOW * 1000),
        );
        Self { home, idp, legacy, trust, revocations: Revocations::default(), expected }
    }

    fn signer(&self, algorithm: Algorithm) -> &Signer {
        self.home.iter().find(|signer| signer.algorithm() == algorithm).unwrap()
    }

    /// What both ways of judging say, which is one thing.
    #[track_caller]
    fn reason(&self, token: &str) -> Option<Reason> {
        let verdict = judge(token, &self.trust, &self.revocations, &self.expected);
        let verified = authenticate(token, &self.trust, &self.revocations, &self.expected);
        assert_eq!(
            verdict.reason,
            verified.as_ref().err().map(|refused| refused.failed.reason),
            "{verdict:?}"
        );
        assert_eq!(verdict.is_valid(), verdict.checks.iter().all(|check| check.passed), "{verdict:?}");
        if let Ok(verified) = verified {
            assert_eq!(verdict.claims, Some(verified.claims));
        }
        verdict.reason
    }

    /// A token of this home by EdDSA with some claims changed; `null` takes one away.
    fn token(&self, changes: &Value) -> String {
        let signer = self.signer(Algorithm::EdDsa);
        signer.token(&signer.header("at+jwt"), &changed(changes).to_string())
    }
}

fn payload() -> Value {
    json!({"iss": HOME, "sub": "ana", "user_id": "ana", "aud": RESOURCE, "exp": NOW + 600, "nbf": NOW - 60, "iat": NOW - 60,
        "jti": TokenId::from_bytes([7; 16]), "client_id": "ana", "scope": "mcp:read", "scopes": ["mcp:read"]})
}

fn changed(changes: &Value) -> Value {
    let mut payload = payload();
    for (claim, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = payload.as_object_mut().unwrap().remove(claim),
            value => payload[claim] = value.clone(),
        }
    }
    payload
}
