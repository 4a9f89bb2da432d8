//! Tokens and keys both ways against three libraries that are not ours: `PyJWT`, `joserfc` and the C program `jose`.
//!
//! For everything that is believed there is the near miss, which is not: the same token with one claim changed, and the
//! same with another key.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis::domain::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::{Place, code, err};

const AUDIENCE: &str = "https://mcp.example.org/mcp";
const SHARED: &str = "a secret that both sides were given";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Library {
    PyJwt,
    Joserfc,
    /// Looks at signatures alone, and knows neither PEM nor Ed25519.
    Jose,
}

impl Library {
    const ALL: [Self; 3] = [Self::PyJwt, Self::Joserfc, Self::Jose];

    fn algorithms(self) -> &'static [&'static str] {
        const ALL: [&str; 5] = ["EdDSA", "ES256", "RS256", "PS256", "HS256"];
        if self == Self::Jose { &ALL[1..] } else { &ALL }
    }

    /// The answers to a list of commands: see `tests/clients/jose_peer.py`.
    fn ask(self, commands: &[Value]) -> Vec<Value> {
        let name = match self {
            Self::PyJwt => "pyjwt",
            Self::Joserfc => "joserfc",
            Self::Jose => "jose",
        };
        let mut child = Command::new(interpreter())
            .arg("-B")
            .arg(root().join("tests/clients/jose_peer.py"))
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(json!(commands).to_string().as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{self:?}: {}", err(&output));
        let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(answers.len(), commands.len());
        answers
    }

    /// Asks each question of the list; each must be answered as it says.
    fn expect(self, questions: &[(bool, Value)]) {
        let commands: Vec<Value> = questions.iter().map(|(_, command)| command.clone()).collect();
        for ((believed, command), answer) in questions.iter().zip(self.ask(&commands)) {
            assert_eq!(answer.get("claims").is_some(), *believed, "{self:?}: {command} -> {answer}");
            if *believed {
                assert_eq!(answer["claims"], claims_of(command["token"].as_str().unwrap()));
            }
        }
    }

    /// A key of its own for each algorithm, whose `kid` is the algorithm's name, and what it signed with each.
    fn sign(self, claims: &Value) -> Vec<(&'static str, Value)> {
        let command = |alg: &&str| {
            let header = json!({"typ": "at+jwt", "kid": alg});
            json!({"do": "sign", "alg": alg, "header": header, "claims": claims})
        };
        let answers = self.ask(&self.algorithms().iter().map(command).collect::<Vec<_>>());
        self.algorithms().iter().copied().zip(answers).collect()
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn interpreter() -> PathBuf {
    root().join("target/clients/jose/bin/python")
}

/// Whether the libraries are installed. Where they are not the test says so, except under `PORTCULLIS_REQUIRE_PEERS`,
/// where it fails.
fn libraries_are_here() -> bool {
    static MISSING: LazyLock<Option<&str>> = LazyLock::new(|| {
        let jose = Command::new("jose").args(["alg", "-k", "sign"]).output();
        match (interpreter().exists(), jose.is_ok_and(|output| output.status.success())) {
            (false, _) => Some("the Python libraries PyJWT and joserfc are"),
            (_, false) => Some("the program `jose` is"),
            _ => None,
        }
    });
    let Some(missing) = *MISSING else { return true };
    let told = format!("{missing} not installed; `.ci/run` installs it");
    assert!(std::env::var_os("PORTCULLIS_REQUIRE_PEERS").is_none(), "{told}");
    eprintln!("SKIPPED: {told}");
    false
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// The public key as an issuer publishes it.
fn named(signed: &Value, algorithm: &str) -> Value {
    let mut key = signed["public"].clone();
    key["kid"] = json!(algorithm);
    key["alg"] = json!(algorithm);
    key
}

/// The same token for somebody else, with the signature of the one that there is.
fn forged(token: &str) -> String {
    let mut claims = claims_of(token);
    claims["sub"] = json!("mallory");
    claims["user_id"] = json!("mallory");
    let parts: Vec<&str> = token.split('.').collect();
    format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2])
}

/// Asks a library to judge a token for [`AUDIENCE`], with the key that `field` holds.
fn question(algorithm: &str, token: &str, field: &str, key: &Value) -> Value {
    json!({"do": "verify", "alg": algorithm, "audience": AUDIENCE, "token": token, field: key})
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("`{field}` of {value}"))
}

fn issue(place: &Place, arguments: &[&str]) -> String {
    let shape = ["token", "issue", "--subject", "alice", "--scope", "mcp:read", "--audience", AUDIENCE];
    text(&place.json(&[&shape, arguments].concat()), "token").to_owned()
}

#[test]
fn our_tokens_are_believed_by_each_library_with_what_we_publish() {
    if !libraries_are_here() {
        return;
    }
    let (place, other) = (Place::new(), Place::new());
    let secret = place.file("secret", SHARED);
    for home in [&place, &other] {
        for algorithm in &Library::PyJwt.algorithms()[..4] {
            home.ok(&["signing-key", "create", "--alg", algorithm, "--kid", algorithm]);
        }
    }
    place.ok(&["signing-key", "create", "--alg", "HS256", "--kid", "HS256", "--import", &secret]);
    let pem = |home: &Place, kid: &str| home.ok(&["signing-key", "export", kid, "--format", "pem"]);
    let sets = [&place, &other].map(|home| home.json(&["signing-key", "export", "--jwks"]));
    let tokens = Library::PyJwt.algorithms().iter().map(|algorithm| {
        let token = issue(&place, &["--alg", algorithm]);
        let keys = if *algorithm == "HS256" {
            vec![("secret", json!(SHARED), json!(format!("{SHARED}.")))]
        } else {
            vec![
                ("jwks", sets[0].clone(), sets[1].clone()),
                ("pem", json!(pem(&place, algorithm)), json!(pem(&other, algorithm))),
            ]
        };
        let questions = keys.into_iter().flat_map(move |(field, key, wrong)| {
            [
                (true, question(algorithm, &token, field, &key)),
                (false, question(algorithm, &forged(&token), field, &key)),
                (false, question(algorithm, &token, field, &wrong)),
            ]
        });
        (*algorithm, questions.collect::<Vec<_>>())
    });
    let tokens: Vec<_> = tokens.collect();
    for library in Library::ALL {
        let known = tokens.iter().filter(|(algorithm, _)| library.algorithms().contains(algorithm));
        let questions = known.flat_map(|(_, questions)| questions.clone());
        let can_read = |command: &Value| library != Library::Jose || command.get("pem").is_none();
        library.expect(&questions.filter(|(_, command)| can_read(command)).collect::<Vec<_>>());
    }
}

#[test]
fn tokens_of_each_library_are_judged_with_its_keys() {
    if !libraries_are_here() {
        return;
    }
    let place = Place::new();
    let claims = json!({"iss": "https://as.example.org", "sub": "alice", "n": 1, "text": "é\u{2028}\"\\/"});
    for library in Library::ALL {
        let others = library.sign(&claims);
        for ((algorithm, signed), (_, other)) in library.sign(&claims).into_iter().zip(others) {
            let token = text(&signed, "token");
            let verify = |token: &str, arguments: &[&str]| {
                let shape = ["token", "verify", "--signature-only", "--json"];
                let output = place.feed(&[&shape, arguments].concat(), token);
                let told: Value =
                    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output)));
                (code(&output), told)
            };
            let judge = |of: &Value, option: &str, name: &str, key: &str| {
                let file = place.file(name, key);
                let arguments = [option, &file, "--alg", algorithm];
                let (exit, told) = verify(token, &arguments);
                let is_own = *of == signed;
                let expected = if is_own { (0, claims.clone()) } else { (1, Value::Null) };
                assert_eq!(
                    (exit, told["claims"].clone()),
                    expected,
                    "{library:?} {algorithm} {name}: {told}"
                );
                if is_own {
                    let (exit, told) = verify(&forged(token), &arguments);
                    assert_eq!(
                        (exit, &told["reason"]),
                        (1, &json!("bad_signature")),
                        "{library:?} {algorithm}"
                    );
                } else {
                    assert_eq!(told["reason"], "bad_signature", "{library:?} {algorithm} {name}: {told}");
                }
            };
            for of in [&signed, &other] {
                if algorithm == "HS256" {
                    judge(of, "--key-file", "their.secret", text(of, "secret"));
                    continue;
                }
                judge(of, "--jwk", "their.jwk", &of["public"].to_string());
                judge(of, "--jwk", "their.jwks", &json!({ "keys": [named(of, algorithm)] }).to_string());
                if let Some(pem) = of["public_pem"].as_str() {
                    judge(of, "--key-file", "their.pem", pem);
                }
            }
        }
    }
    assert!(!place.home().exists(), "no home is made");
}

#[test]
fn keys_of_each_library_sign_here_and_it_believes_what_they_signed() {
    if !libraries_are_here() {
        return;
    }
    for library in Library::ALL {
        let mut questions = Vec::new();
        for (algorithm, made) in library.sign(&json!({"sub": "nobody"})) {
            let forms = if algorithm == "HS256" { &["secret"][..] } else { &["private", "private_pem"] };
            for form in forms.iter().filter(|form| !made[**form].is_null()) {
                let place = Place::new();
                let key = made[*form].as_str().map_or_else(|| made[*form].to_string(), str::to_owned);
                let file = place.file("their.key", key);
                let imported = place.json(&["signing-key", "create", "--alg", algorithm, "--import", &file]);
                if let Some(thumbprint) = made["thumbprint"].as_str() {
                    assert_eq!(imported["kid"], thumbprint, "{library:?} {algorithm}: RFC 7638");
                }
                let token = issue(&place, &["--alg", algorithm]);
                let (field, key) =
                    if algorithm == "HS256" { ("secret", "secret") } else { ("jwk", "public") };
                questions.push((true, question(algorithm, &token, field, &made[key])));
                questions.push((false, question(algorithm, &forged(&token), field, &made[key])));
            }
        }
        library.expect(&questions);
    }
}

/// What `token verify` says of a token.
fn verdict(place: &Place, token: &str) -> (i32, Value) {
    let output = place.feed(&["token", "verify", "--json"], token);
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output)));
    (code(&output), told)
}

#[track_caller]
fn assert_refused(place: &Place, token: &str, reason: &str) {
    let (exit, told) = verdict(place, token);
    assert_eq!((exit, &told["reason"]), (1, &json!(reason)), "{told}");
}

#[test]
fn an_issuer_that_signs_with_a_library_is_believed_once_it_is_registered_and_no_longer() {
    if !libraries_are_here() {
        return;
    }
    let place = Place::new();
    let now = SystemClock.now().seconds();
    for library in Library::ALL {
        let name = format!("{library:?}").to_ascii_lowercase();
        let iss = format!("https://{name}.example.org");
        let claims = |audience: &str| {
            json!({
                "iss": iss, "sub": "alice", "aud": audience, "iat": now, "exp": now + 600, "jti": "one",
                "client_id": "laptop", "scope": "mcp:read",
            })
        };
        let public = |signed: &[(&str, Value)]| -> Vec<(String, Value)> {
            let public = signed.iter().filter(|(algorithm, _)| *algorithm != "HS256");
            let token = |made: &Value| text(made, "token").to_owned();
            public.map(|(algorithm, made)| (token(made), named(made, algorithm))).collect()
        };
        let signed = public(&library.sign(&claims(AUDIENCE)));
        let others = public(&library.sign(&claims(AUDIENCE)));
        let keys: Vec<&Value> = signed.iter().map(|(_, key)| key).collect();
        let file = place.file("their.jwks", json!({ "keys": keys }).to_string());
        assert_refused(&place, &signed[0].0, "wrong_issuer");
        let add = ["issuer", "add", &name, "--jwks", &file, "--issuer", &iss, "--audience", AUDIENCE];
        place.ok(&add);
        for (token, _) in &signed {
            let (exit, told) = verdict(&place, token);
            assert_eq!((exit, &told["claims"]), (0, &claims_of(token)), "{library:?}: {told}");
            assert_refused(&place, &forged(token), "bad_signature");
        }
        for (token, _) in &others {
            assert_refused(&place, token, "bad_signature");
        }
        place.ok(&["issuer", "remove", &name]);
        let elsewhere = ["--issuer", &iss, "--audience", "https://elsewhere.example.org"];
        place.ok(&[&["issuer", "add", &name, "--jwks", &file], &elsewhere[..]].concat());
        assert_refused(&place, &signed[0].0, "wrong_audience");
        place.ok(&["issuer", "remove", &name]);
        assert_refused(&place, &signed[0].0, "wrong_issuer");
    }
}

#[test]
fn tokens_as_the_document_makes_them_are_believed_of_a_legacy_issuer_alone() {
    if !libraries_are_here() {
        return;
    }
    let now = SystemClock.now().seconds() as f64;
    // `jwt.encode` of the document: no issuer, no audience, times with fractions.
    let claims = json!({
        "user_id": "alice", "scopes": ["mcp:read"], "iat": now - 0.25, "exp": now + 600.5, "jti": "one",
    });
    let command = json!({"do": "sign", "alg": "HS256", "header": {}, "claims": claims});
    let signed = Library::PyJwt.ask(&[command.clone(), command]);
    let place = Place::new();
    let secret = place.file("their.secret", text(&signed[0], "secret"));
    let token = text(&signed[0], "token");
    assert_refused(&place, token, "wrong_issuer");
    place.ok(&["issuer", "add", "old", "--profile", "legacy", "--alg", "HS256", "--key-file", &secret]);
    let (exit, told) = verdict(&place, token);
    assert_eq!((exit, &told["claims"]["user_id"]), (0, &json!("alice")), "{told}");
    assert_refused(&place, &forged(token), "bad_signature");
    assert_refused(&place, text(&signed[1], "token"), "bad_signature");
}
