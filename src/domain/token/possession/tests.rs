use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{encoding::AsDer, rand::SystemRandom};
use serde_json::json;

use super::*;

const NOW: i64 = 2_000_000_000;
const TOKEN: &str = "eyJh.e30.AA";

/// Somebody who holds a key.
struct Holder(EcdsaKeyPair);

impl Holder {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn jwk(&self) -> Value {
        let pem = pem::encode(&pem::Pem::new(
            "PUBLIC KEY",
            self.0.public_key().as_der().unwrap().as_ref().to_vec(),
        ));
        let mut jwk = VerifyingKey::from_pem(&pem, None).unwrap().to_jwk().unwrap();
        let members = jwk.as_object_mut().unwrap();
        members.retain(|name, _| matches!(name.as_str(), "kty" | "crv" | "x" | "y"));
        jwk
    }

    fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": "ES256", "jwk": self.jwk()})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let input = format!("{}.{}", base64::encode(header.to_string()), base64::encode(claims.to_string()));
        let signature = self.0.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        format!("{input}.{}", base64::encode(signature.as_ref()))
    }
}

fn claims() -> Value {
    json!({"jti": "a-1", "htm": "POST", "htu": "https://mcp.example/mcp", "iat": NOW,
        "ath": base64::encode(Sha256::digest(TOKEN))})
}

/// `null` takes a member away.
fn with(mut object: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => _ = object.as_object_mut().unwrap().remove(name),
            value => object[name] = value.clone(),
        }
    }
    object
}

/// For a token that is bound to the key which the proof names.
fn read(proof: &str) -> Result<Possession, Reason> {
    let key = Compact::parse(proof).ok().and_then(|compact| key_of(proof, &compact));
    let jkt = key.and_then(|key| base64::decode(key.thumbprint())?.try_into().ok());
    read_for(proof, &jkt.unwrap_or([0; 32]))
}

fn read_for(proof: &str, bound_to: &[u8; 32]) -> Result<Possession, Reason> {
    let urls = ["https://mcp.example/mcp".to_owned()];
    let now = Timestamp::from_millis(NOW * 1000);
    let shown = Shown { method: "POST", urls: &urls, token: TOKEN, bound_to, now };
    Possession::read(proof, &shown).map_err(|failed| failed.reason)
}

#[test]
fn a_proof_names_its_key_and_itself() {
    let (holder, other) = (Holder::new(), Holder::new());
    let proof = read(&holder.sign(&holder.header(), &claims())).unwrap();
    let key = VerifyingKey::from_jwk(&holder.jwk().to_string(), None).unwrap();
    assert_eq!(base64::encode(proof.jkt), key.thumbprint());
    assert_eq!(proof.ends_at, Timestamp::from_millis((NOW + 301) * 1000));
    let again = read(&holder.sign(&holder.header(), &with(claims(), json!({"iat": NOW - 9})))).unwrap();
    assert_eq!(again.id, proof.id, "what has the same jti is the same proof");
    let next = read(&holder.sign(&holder.header(), &with(claims(), json!({"jti": "a-2"})))).unwrap();
    let others = read(&other.sign(&other.header(), &claims())).unwrap();
    assert!(next.id != proof.id && others.id != proof.id && others.jkt != proof.jkt);
}

#[test]
fn each_near_miss_of_the_claims_is_refused() {
    use Reason::{BadSignature, Expired, Malformed, NotYetValid};
    let holder = Holder::new();
    for (changes, refused) in [
        (json!({}), None),
        (json!({"iat": NOW + 300}), None),
        (json!({"iat": NOW - 300}), None),
        (json!({"htu": "HTTPS://MCP.example:443/mcp?x=1#y"}), None),
        (json!({"iat": NOW + 301}), Some(NotYetValid)),
        (json!({"iat": NOW - 301}), Some(Expired)),
        (json!({"iat": "2000000000"}), Some(Malformed)),
        (json!({"iat": NOW as f64 + 0.25}), None),
        (json!({"iat": NOW as f64 + 300.25}), Some(NotYetValid)),
        (json!({"iat": 1e300}), Some(Malformed)),
        (json!({"iat": -0.5}), Some(Malformed)),
        (json!({"iat": -1}), Some(Malformed)),
        (json!({"iat": u64::MAX}), Some(Malformed)),
        (json!({"iat": null}), Some(Malformed)),
        (json!({"jti": null}), Some(Malformed)),
        (json!({"jti": ""}), Some(Malformed)),
        (json!({"jti": 7}), Some(Malformed)),
        (json!({"jti": "x".repeat(257)}), Some(Malformed)),
        (json!({"htm": null}), Some(Malformed)),
        (json!({"htm": "GET"}), Some(BadSignature)),
        (json!({"htm": "post"}), Some(BadSignature)),
        (json!({"htu": null}), Some(Malformed)),
        (json!({"htu": "http://mcp.example/mcp"}), Some(BadSignature)),
        (json!({"htu": "https://mcp.example/mcp/"}), Some(BadSignature)),
        (json!({"htu": "https://mcp.example/MCP"}), Some(BadSignature)),
        (json!({"htu": "https://mcp.example.evil/mcp"}), Some(BadSignature)),
        (json!({"htu": "/mcp"}), Some(BadSignature)),
        (json!({"ath": null}), Some(Malformed)),
        (json!({"ath": base64::encode(Sha256::digest("another.e30.AA"))}), Some(BadSignature)),
    ] {
        let proof = holder.sign(&holder.header(), &with(claims(), changes.clone()));
        assert_eq!(read(&proof).err(), refused, "{changes}");
    }
}

#[test]
fn each_near_miss_of_the_header_and_of_the_signature_is_refused() {
    let (holder, other) = (Holder::new(), Holder::new());
    let mut private = holder.jwk();
    private["d"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE".into();
    let secret = json!({"kty": "oct", "k": base64::encode([7; 32])});
    for changes in [
        json!({"typ": null}),
        json!({"typ": "JWT"}),
        json!({"typ": "at+jwt"}),
        json!({"alg": "none"}),
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "jwk": secret}),
        json!({"alg": "EdDSA"}),
        json!({"jwk": null}),
        json!({"jwk": "a text"}),
        json!({"jwk": private}),
        json!({"crit": ["b64"]}),
    ] {
        let proof = holder.sign(&with(holder.header(), changes.clone()), &claims());
        assert_eq!(read(&proof).err(), Some(Reason::Malformed), "{changes}");
    }
    let foreign = holder.sign(&other.header(), &claims());
    assert_eq!(read(&foreign).err(), Some(Reason::BadSignature), "signed with another key than it names");
    let good = holder.sign(&holder.header(), &claims());
    for spoiled in
        [good[..good.len() - 2].to_owned(), good.replace('.', ""), String::new(), format!("{good}.")]
    {
        assert!(read(&spoiled).is_err(), "{spoiled}");
    }
}

#[test]
fn a_proof_by_another_key_than_the_tokens_is_refused() {
    let (holder, other) = (Holder::new(), Holder::new());
    let proof = holder.sign(&holder.header(), &claims());
    let mine = read(&proof).unwrap().jkt;
    assert!(read_for(&proof, &mine).is_ok());
    let others = other.sign(&other.header(), &claims());
    assert_eq!(read_for(&others, &mine).err(), Some(Reason::BadSignature));
}

/// What a client may make the gateway compute by the key that it names: RSA up to 4096 bits with the usual exponent.
#[test]
fn keys_that_cost_much_are_refused_by_their_size() {
    use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let signed = |change: &dyn Fn(&mut Value)| {
        let pem =
            pem::encode(&pem::Pem::new("PUBLIC KEY", pair.public_key().as_der().unwrap().as_ref().to_vec()));
        let key = VerifyingKey::from_pem(&pem, Some(crate::domain::jose::Algorithm::Rs256)).unwrap();
        let mut jwk = key.to_jwk().unwrap();
        jwk.as_object_mut().unwrap().retain(|name, _| matches!(name.as_str(), "kty" | "n" | "e"));
        change(&mut jwk);
        let header = json!({"typ": "dpop+jwt", "alg": "RS256", "jwk": jwk});
        let input =
            format!("{}.{}", base64::encode(header.to_string()), base64::encode(claims().to_string()));
        let mut signature = vec![0; pair.public_modulus_len()];
        let encoding = &aws_lc_rs::signature::RSA_PKCS1_SHA256;
        pair.sign(encoding, &SystemRandom::new(), input.as_bytes(), &mut signature).unwrap();
        format!("{input}.{}", base64::encode(signature))
    };
    assert!(read(&signed(&|_| {})).is_ok());
    for (name, value) in [
        ("n", base64::encode([0xff; 513])),
        ("n", base64::encode([0xff; 1024])),
        ("e", base64::encode([0xff; 4])),
        ("e", base64::encode([1, 0, 3])),
        ("e", base64::encode([3])),
    ] {
        let dear = signed(&|jwk| jwk[name] = value.clone().into());
        assert_eq!(read(&dear).err(), Some(Reason::Malformed), "{name}: {value}");
    }
}

#[test]
fn a_token_is_taken_only_as_it_is_bound() {
    let possession = |jkt| Possession { jkt, id: "a".into(), ends_at: Timestamp::default() };
    let bound =
        |jkt, certificate| Claims { confirmation: Some(Confirmation { jkt, certificate }), ..plain() };
    let (mine, other) = (possession([1; 32]), possession([2; 32]));
    let outcome = |claims: &Claims, possession| {
        require_possession(claims, possession).err().map(|failed| failed.reason)
    };
    assert_eq!(outcome(&plain(), None), None);
    assert_eq!(outcome(&plain(), Some(&mine)), Some(Reason::BadSignature));
    assert_eq!(outcome(&bound(Some([1; 32]), None), Some(&mine)), None);
    assert_eq!(outcome(&bound(Some([1; 32]), None), Some(&other)), Some(Reason::BadSignature));
    assert_eq!(
        outcome(&bound(Some([1; 32]), None), None),
        Some(Reason::BadSignature),
        "never as a plain bearer"
    );
    for jkt in [None, Some([1; 32])] {
        let both = bound(jkt, Some([3; 32]));
        assert_eq!(outcome(&both, Some(&mine)), Some(Reason::UntrustedCertificate));
    }
}

fn plain() -> Claims {
    let payload = json!({"iss": "a", "sub": "ana", "aud": "b", "exp": NOW, "iat": NOW, "jti": "1"});
    let names = crate::domain::token::ClaimNames::default();
    Claims::read(payload.as_object().unwrap(), crate::domain::token::Profile::AtJwt, &names, false).unwrap()
}

#[test]
fn a_key_of_another_kind_proves_as_well() {
    let pair = Ed25519KeyPair::generate().unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": base64::encode(pair.public_key().as_ref())});
    let header = json!({"typ": "dpop+jwt", "alg": "EdDSA", "jwk": jwk});
    let input = format!("{}.{}", base64::encode(header.to_string()), base64::encode(claims().to_string()));
    assert!(read(&format!("{input}.{}", base64::encode(pair.sign(input.as_bytes())))).is_ok());
}
