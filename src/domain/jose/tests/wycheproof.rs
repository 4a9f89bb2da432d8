//! The published vectors of Wycheproof: every invalid one is refused, every valid one of our algorithms is taken.

use serde_json::Value;

use super::*;

/// One vector: the key set or key, and the token.
struct Case {
    file: &'static str,
    id: u64,
    name: String,
    is_valid: bool,
    key: Value,
    token: String,
}

impl Case {
    fn verify(&self) -> Result<(), Fault> {
        let token = Compact::parse(&self.token)?;
        let key = self.key.to_string();
        if self.key.get("keys").is_some() {
            let set = KeySet::parse(&key, PrivatePart::Drop, &[])?;
            return token.verify(set.key_for(token.header())?);
        }
        token.verify(&VerifyingKey::from_private_jwk(&key, None)?)
    }
}

fn cases(file: &'static str) -> Vec<Case> {
    let Some(folder) = vectors() else { return Vec::new() };
    let document: Value = serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap();
    let mut cases = Vec::new();
    for group in document["testGroups"].as_array().unwrap() {
        let key = group.get("public").unwrap_or(&group["private"]);
        for test in group["tests"].as_array().unwrap() {
            let token = test.get("jws").unwrap_or(&test["jwe"]);
            cases.push(Case {
                file,
                id: test["tcId"].as_u64().unwrap(),
                name: test["comment"].as_str().unwrap().to_owned(),
                is_valid: test["result"] == "valid",
                key: key.clone(),
                // The JSON serialisation stands there as an object.
                token: token.as_str().map_or_else(|| token.to_string(), str::to_owned),
            });
        }
    }
    assert_eq!(cases.len() as u64, document["numberOfTests"].as_u64().unwrap());
    cases
}

/// Vectors that say something else than we do, and why.
fn our_verdict(case: &Case) -> bool {
    match (case.file, case.id) {
        // The file calls them valid. The key says PS256 and the token PS384: a key is for one algorithm.
        ("json_web_signature_test.json", 346 | 350) => false,
        // The key's `alg` is `ES521`, which is no algorithm's name.
        ("json_web_signature_test.json", 347 | 351) => false,
        // A `?` inside the base64url of header or payload.
        ("json_web_signature_test.json", 372 | 373) => false,
        // The file calls them invalid for a padding that is not there: letter for letter they are vector 357, which is valid.
        ("json_web_signature_test.json", 367 | 370) => true,
        // The one valid token of these files that is encrypted, under either key.
        ("json_web_crypto_test.json", 50 | 67) => false,
        _ => case.is_valid,
    }
}

fn judge(file: &'static str) -> (usize, usize) {
    let mut taken = 0;
    let cases = cases(file);
    for case in &cases {
        let verdict = case.verify();
        let told = format!("{file} {}: {}: {verdict:?}", case.id, case.name);
        assert_eq!(verdict.is_ok(), our_verdict(case), "{told}");
        taken += usize::from(verdict.is_ok());
    }
    (cases.len(), taken)
}

#[test]
fn signatures() {
    if vectors().is_some() {
        assert_eq!(judge("json_web_signature_test.json"), (401, 42));
    }
}

#[test]
fn keys() {
    if vectors().is_some() {
        assert_eq!(judge("json_web_key_test.json"), (26, 5));
    }
}

#[test]
fn crypto() {
    if vectors().is_some() {
        assert_eq!(judge("json_web_crypto_test.json"), (83, 4));
    }
}

#[test]
fn a_key_of_the_flawed_generator_is_called_so() {
    let Some(case) = cases("json_web_crypto_test.json").into_iter().find(|case| case.id == 46) else {
        return;
    };
    assert_eq!(case.verify(), Err(Fault::Roca));
}
