//! `issuer add --like`: a token of each provider, in the form in which it writes them, and the near misses.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::{Place, code, err, out};

/// What all of these sign with, unless they are told otherwise.
static KEY: LazyLock<RsaKeyPair> = LazyLock::new(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
/// 2100-01-01.
const END: i64 = 4_102_444_800;
const BEGIN: i64 = 1_764_500_000;

/// One provider's token, and what is to be said of it at `issuer add`.
struct Sample {
    like: &'static str,
    iss: &'static str,
    audience: &'static [&'static str],
    /// Beside `--like`, `--issuer` and `--audience`.
    more: &'static [&'static str],
    header: Value,
    claims: Value,
    scopes: &'static [&'static str],
    subject: &'static str,
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn signed(header: &Value, claims: &Value) -> String {
    let text = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature).unwrap();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Sample {
    /// The token with some claims changed; `null` is written as that.
    fn token(&self, changes: &Value) -> String {
        let mut header = json!({"alg": "RS256", "kid": "k1"});
        header.as_object_mut().unwrap().extend(self.header.as_object().unwrap().clone());
        let mut claims = json!({"iss": self.iss, "exp": END, "iat": BEGIN});
        claims.as_object_mut().unwrap().extend(self.claims.as_object().unwrap().clone());
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        signed(&header, &claims)
    }

    fn place(&self) -> Place {
        let place = Place::new();
        // SubjectPublicKeyInfo, which is how the key comes in without its numbers being taken apart here.
        let der = KEY.public_key().as_der().unwrap();
        let der: &[u8] = der.as_ref();
        let body = base64::engine::general_purpose::STANDARD.encode(der);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n");
        let file = place.file("key.pem", pem);
        let mut add = vec!["issuer", "add", "idp", "--like", self.like, "--issuer", self.iss];
        add.extend(["--key-file", &file, "--alg", "RS256"]);
        add.extend(self.audience.iter().flat_map(|audience| ["--audience", audience]));
        add.extend(self.more);
        let added = place.run(&add);
        assert_eq!(code(&added), 0, "{}: {}", self.like, err(&added));
        place
    }
}

fn judge(place: &Place, token: &str) -> (i32, Value) {
    let output = place.feed(&["issuer", "check", "idp", "--json"], token);
    (code(&output), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", err(&output))))
}

fn samples() -> Vec<Sample> {
    let plain = || json!({"typ": "JWT"});
    vec![
        Sample {
            like: "keycloak",
            iss: "https://sso.example.org/realms/corp",
            audience: &["mcp-gateway"],
            more: &[],
            header: plain(),
            claims: json!({"jti": "onrtro:8c1a", "aud": ["mcp-gateway", "account"], "sub": "f3c0", "typ": "Bearer", "azp": "cli",
                "sid": "c1", "acr": "1", "allowed-origins": ["*"], "scope": "openid email mcp:read", "email_verified": true,
                "realm_access": {"roles": ["offline_access", "uma_authorization", "tools:call"]},
                "resource_access": {"account": {"roles": ["manage-account"]}}, "preferred_username": "ana"}),
            scopes: &["mcp:read", "tools:call"],
            subject: "f3c0",
        },
        Sample {
            like: "entra",
            iss: "https://login.microsoftonline.com/6b1e/v2.0",
            audience: &["0f1d", "api://mcp-gateway"],
            more: &[],
            header: json!({"typ": "JWT", "x5t": "k1"}),
            claims: json!({"aud": "0f1d", "nbf": BEGIN, "aio": "ATQA", "azp": "9c2f", "azpacr": "1", "name": "Ana", "oid": "aa11",
                "preferred_username": "ana@example.org", "rh": "0.AAA", "scp": "mcp:read user_impersonation", "sub": "Xy_z", "tid": "6b1e",
                "uti": "q", "ver": "2.0", "groups": ["00000000-aaaa-bbbb-cccc-000000000000"], "xms_ftd": null}),
            scopes: &["mcp:read"],
            subject: "Xy_z",
        },
        // A daemon's, of version 1: `roles`, and the other audience.
        Sample {
            like: "entra",
            iss: "https://sts.windows.net/6b1e/",
            audience: &["0f1d", "api://mcp-gateway"],
            more: &[],
            header: json!({"typ": "JWT", "x5t": "k1"}),
            claims: json!({"aud": "api://mcp-gateway", "nbf": BEGIN, "appid": "9c2f", "appidacr": "1", "idtyp": "app", "oid": "bb22",
                "roles": ["mcp:read"], "sub": "bb22", "tid": "6b1e", "uti": "q", "ver": "1.0"}),
            scopes: &["mcp:read"],
            subject: "bb22",
        },
        Sample {
            like: "auth0",
            iss: "https://corp.eu.auth0.com/",
            audience: &["https://mcp.example.org/"],
            more: &[],
            header: plain(),
            claims: json!({"sub": "auth0|507f1f77", "aud": ["https://mcp.example.org", "https://corp.eu.auth0.com/userinfo"],
                "azp": "my_client", "gty": "password", "scope": "openid profile", "permissions": ["mcp:read", "tools:call"],
                "https://example.org/roles": ["admin"]}),
            scopes: &["mcp:read", "tools:call"],
            subject: "auth0|507f1f77",
        },
        Sample {
            like: "okta",
            iss: "https://corp.okta.com/oauth2/default",
            audience: &["api://default"],
            more: &[],
            header: json!({}),
            claims: json!({"ver": 1, "jti": "AT.0mP4", "aud": "api://default", "cid": "nmdP", "uid": "00uid4", "scp": ["openid", "mcp:read"],
                "sub": "ana@example.org", "auth_time": 1_764_499_999}),
            scopes: &["mcp:read"],
            subject: "ana@example.org",
        },
        Sample {
            like: "cognito",
            iss: "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_a",
            audience: &["5abc"],
            more: &["--scope-map", "mcp/read=mcp:read", "--scope-map", "callers=tools:call"],
            header: json!({}),
            claims: json!({"sub": "aaaa-bbbb", "cognito:groups": ["callers"], "version": 2, "client_id": "5abc", "origin_jti": "o",
                "event_id": "e", "token_use": "access", "scope": "mcp/read openid", "auth_time": BEGIN, "jti": "j", "username": "ana"}),
            scopes: &["mcp:read", "tools:call"],
            subject: "aaaa-bbbb",
        },
        Sample {
            like: "google",
            iss: "https://accounts.google.com",
            audience: &["1234.apps.googleusercontent.com"],
            more: &["--scope-map", "example.org=mcp:read"],
            header: plain(),
            claims: json!({"azp": "1234.apps.googleusercontent.com", "aud": "1234.apps.googleusercontent.com", "sub": "10769150350006150715113",
                "hd": "example.org", "email": "ana@example.org", "email_verified": true, "at_hash": "H"}),
            scopes: &["mcp:read"],
            subject: "10769150350006150715113",
        },
        Sample {
            like: "github",
            iss: "https://token.actions.githubusercontent.com",
            audience: &["mcp-gateway"],
            more: &["--scope-map", "octo-org/octo-repo=mcp:read"],
            header: json!({"typ": "JWT", "x5t": "k1"}),
            claims: json!({"jti": "j", "sub": "repo:octo-org/octo-repo:environment:prod", "aud": "mcp-gateway", "ref": "refs/heads/main",
                "repository": "octo-org/octo-repo", "repository_owner": "octo-org", "repository_id": "74", "run_attempt": "1",
                "runner_environment": "github-hosted", "nbf": BEGIN, "environment": "prod"}),
            scopes: &["mcp:read"],
            subject: "repo:octo-org/octo-repo:environment:prod",
        },
        Sample {
            like: "gitlab",
            iss: "https://gitlab.com",
            audience: &["mcp-gateway"],
            more: &["--scope-map", "my-group/my-project=mcp:read"],
            header: plain(),
            claims: json!({"namespace_id": "72", "namespace_path": "my-group", "project_id": "20", "project_path": "my-group/my-project",
                "user_login": "ana", "user_identities": [{"provider": "github", "extern_uid": "2"}], "pipeline_id": "574", "job_id": "302",
                "ref": "main", "ref_protected": "false", "groups_direct": ["my-group"], "jti": "j", "nbf": BEGIN, "aud": "mcp-gateway",
                "sub": "project_path:my-group/my-project:ref_type:branch:ref:main"}),
            scopes: &["mcp:read"],
            subject: "project_path:my-group/my-project:ref_type:branch:ref:main",
        },
        Sample {
            like: "zitadel",
            iss: "https://corp.zitadel.cloud",
            audience: &["69234237810729019"],
            more: &["--scope-map", "reader=mcp:read"],
            header: json!({}),
            claims: json!({"aud": ["69234237810729234", "69234237810729019"], "client_id": "69234237810729234", "jti": "77776",
                "nbf": BEGIN, "sub": "77776025198584418", "urn:zitadel:iam:org:project:roles": {"reader": {"2": "corp.example"}}}),
            scopes: &["mcp:read"],
            subject: "77776025198584418",
        },
        Sample {
            like: "authentik",
            iss: "https://sso.example.org/application/o/mcp/",
            audience: &["ak-client"],
            more: &["--scope-map", "mcp-readers=mcp:read"],
            header: plain(),
            claims: json!({"sub": "hash", "aud": "ak-client", "auth_time": BEGIN, "acr": "goauthentik.io/providers/oauth2/default",
                "amr": ["pwd"], "azp": "ak-client", "uid": "u", "scope": "openid profile", "groups": ["authentik Admins", "mcp-readers"],
                "email_verified": true}),
            scopes: &["mcp:read"],
            subject: "hash",
        },
        Sample {
            like: "dex",
            iss: "https://dex.example.org/dex",
            audience: &["mcp-client"],
            more: &["--scope-map", "corp:readers=mcp:read"],
            header: json!({}),
            claims: json!({"sub": "CgdhbmEuY29ycBIEbGRhcA", "aud": "mcp-client", "at_hash": "h", "email": "ana@example.org",
                "email_verified": true, "groups": ["corp:readers", "Domain Users"], "name": "Ana"}),
            scopes: &["mcp:read"],
            subject: "CgdhbmEuY29ycBIEbGRhcA",
        },
    ]
}

#[test]
fn a_token_of_each_provider_is_taken_as_it_writes_them() {
    for sample in samples() {
        let (place, like) = (sample.place(), sample.like);
        let (exit, told) = judge(&place, &sample.token(&json!({})));
        assert_eq!(
            (exit, &told["token"]["valid"], &told["good"]),
            (0, &json!(true), &json!(true)),
            "{like}: {told}"
        );
        assert_eq!(told["token"]["scopes"], json!(sample.scopes), "{like}: {told}");
        let verified = place.feed(&["token", "verify"], sample.token(&json!({})));
        assert!(out(&verified).contains(sample.subject), "{like}: {}", out(&verified));
        let (exit, told) = judge(&place, &sample.token(&json!({"iss": "https://elsewhere.example"})));
        assert_eq!((exit, &told["token"]["reason"]), (1, &json!("wrong_issuer")), "{like}");
        let (exit, told) = judge(&place, &sample.token(&json!({"exp": BEGIN + 1})));
        assert_eq!((exit, &told["token"]["reason"]), (1, &json!("expired")), "{like}");
        let near = json!({"aud": "another", "client_id": "another"});
        let (exit, told) = judge(&place, &sample.token(&near));
        assert_eq!((exit, &told["token"]["reason"]), (1, &json!("wrong_audience")), "{like}");
        // Valid, and good for nothing: whoever is not named has no scope.
        let nobody = json!({"scope": "openid", "scp": "openid", "roles": null, "realm_access": null, "permissions": [], "groups": ["x"],
            "cognito:groups": null, "hd": null, "sub": "somebody", "repository": "eve/mcp", "repository_owner": "eve",
            "project_path": "eve/mcp", "namespace_path": "eve", "groups_direct": [], "urn:zitadel:iam:org:project:roles": {}});
        let (exit, told) = judge(&place, &sample.token(&nobody));
        assert_eq!(
            (exit, &told["token"]["valid"], &told["token"]["scopes"]),
            (1, &json!(true), &json!([])),
            "{like}: {told}"
        );
        assert!(
            told["token"]["claims"].as_array().unwrap().iter().any(|claim| claim["passed"] == false),
            "{like}"
        );
    }
}

#[test]
fn where_strangers_choose_the_names_only_those_that_are_mapped_count() {
    for sample in samples().into_iter().filter(|sample| ["google", "github", "gitlab"].contains(&sample.like))
    {
        let place = sample.place();
        // A stranger's names that are names of scopes here.
        let claims = json!({"hd": "mcp:read", "sub": "tools:call", "repository": "mcp:read", "repository_owner": "tools:call",
            "project_path": "mcp:read", "namespace_path": "mcp:read", "groups_direct": ["mcp:read"]});
        let (exit, told) = judge(&place, &sample.token(&claims));
        assert_eq!((exit, &told["token"]["scopes"]), (1, &json!([])), "{}: {told}", sample.like);
    }
}

#[test]
fn an_option_beats_the_preset_and_both_are_shown() {
    let mut sample = samples().into_iter().find(|sample| sample.like == "cognito").unwrap();
    let shown = sample.place();
    assert_eq!(
        shown.json(&["issuer", "show", "idp"])["preset"],
        json!({"name": "cognito", "overridden": []})
    );
    assert!(shown.ok(&["issuer", "show", "idp"]).contains("client_id"));
    sample.more = &[
        "--audience-claim",
        "aud",
        "--scope-claim",
        "scope",
        "--profile",
        "at-jwt",
        "--unmapped-scopes",
        "drop",
    ];
    let place = sample.place();
    let told = place.json(&["issuer", "show", "idp"]);
    let overridden = json!(["profile", "scope claims", "audience claim", "unmapped scopes"]);
    assert_eq!(told["preset"], json!({"name": "cognito", "overridden": overridden}));
    let text = place.ok(&["issuer", "show", "idp"]);
    assert!(text.contains("cognito, but for: profile, scope claims"), "{text}");
    let (exit, told) = judge(&place, &sample.token(&json!({})));
    assert_eq!(
        (exit, &told["token"]["reason"]),
        (1, &json!("malformed")),
        "its `aud` counts again, and is not there"
    );
    let told = place.fails(2, &["issuer", "add", "x", "--like", "Cognito", "--url", "https://a.example"]);
    assert!(told.contains("keycloak, entra"), "{told}");
}
