//! The keys of an issuer, as they are kept: what is fit to verify and pinned, and nothing else of what it published.

use serde::Serialize;
use serde_json::{Value, json};

use crate::domain::jose::{Algorithm, Fault, KeySet, PrivatePart, VerifyingKey};

/// What RSA keys are for that name no algorithm, where none is pinned: what most issuers mean.
const USUAL: [Algorithm; 1] = [Algorithm::Rs256];

/// Keys that verify an issuer's tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerKeys {
    keys: Vec<VerifyingKey>,
}

/// A key as it was published, and whether it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublishedKey {
    /// Foreign text.
    pub kid: Option<String>,
    pub algorithm: Option<Algorithm>,
    /// Why it verifies nothing; `None` where it does.
    pub left_out: Option<String>,
}

/// Why a document gives no keys. Safe to show.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    #[error("the set of keys cannot be used: {0}")]
    Set(#[from] Fault),
    #[error("the set of keys holds none that can be used here: {0}")]
    NoneFits(String),
    #[error(
        "no token can say which key of the set it means: several are for {0}, and have no name (`kid`); give each the one \
         that its tokens name, or leave the key that signs alone in the set"
    )]
    Nameless(Algorithm),
}

impl IssuerKeys {
    /// The keys of a published set (RFC 7517 §5) that are for one of the algorithms `pinned`; where none is, those that
    /// verify with a public key. May be empty: an issuer may take back all it has.
    ///
    /// # Errors
    /// Where it is no set that can be understood in one way.
    pub fn read(text: &str, pinned: &[Algorithm]) -> Result<Self, BadKeys> {
        let mut set = parsed(text, pinned)?;
        set.keys.retain(|key| pinned.is_empty() || pinned.contains(&key.algorithm()));
        Ok(Self { keys: set.keys })
    }

    /// The same for who is to be believed from now on.
    ///
    /// # Errors
    /// As [`IssuerKeys::read`], and where there is no key.
    pub fn read_some(text: &str, pinned: &[Algorithm]) -> Result<Self, BadKeys> {
        let read = Self::read(text, pinned)?;
        let set = parsed(text, pinned)?;
        if let Some(first) = read.keys.first() {
            let is_idle = read.keys.iter().all(|key| set.is_ambiguous(key));
            return if is_idle { Err(BadKeys::Nameless(first.algorithm())) } else { Ok(read) };
        }
        let left_out = set.skipped.iter().map(|(place, fault)| format!("key {}: {fault}", place + 1));
        let others =
            set.keys.iter().map(|key| format!("one is for {}, which is not pinned", key.algorithm()));
        let told: Vec<_> = left_out.chain(others).take(3).collect();
        Err(BadKeys::NoneFits(if told.is_empty() { "it is empty".into() } else { told.join("; ") }))
    }

    /// Every key of a published set, those that do not count as well.
    ///
    /// # Errors
    /// As [`IssuerKeys::read`].
    pub fn described(text: &str, pinned: &[Algorithm]) -> Result<Vec<PublishedKey>, BadKeys> {
        let set = parsed(text, pinned)?;
        let is_pinned = |algorithm| pinned.is_empty() || pinned.contains(&algorithm);
        let why = |key: &VerifyingKey| match key.algorithm() {
            algorithm if !is_pinned(algorithm) => Some("its algorithm is not pinned (--alg)".to_owned()),
            algorithm if set.is_ambiguous(key) => Some(format!(
                "it has no `kid`, and another for {algorithm} neither: no token can say which it means"
            )),
            _ => None,
        };
        let taken = set.keys.iter().map(|key| PublishedKey {
            kid: Some(key.kid().to_owned()),
            algorithm: Some(key.algorithm()),
            left_out: why(key),
        });
        let members = crate::domain::json::object(text.as_bytes()).map_err(|_| Fault::KeyJson)?;
        let kid = |place: usize| Some(members.get("keys")?.get(place)?.get("kid")?.as_str()?.to_owned());
        let skipped = set.skipped.iter().map(|(place, fault)| PublishedKey {
            kid: kid(*place),
            algorithm: None,
            left_out: Some(fault.to_string()),
        });
        Ok(taken.chain(skipped).collect())
    }

    /// What counts for nothing in a published set for want of a name, in a sentence for each algorithm, with what mends it;
    /// nothing where the set cannot be read.
    pub fn nameless(text: &str, pinned: &[Algorithm]) -> Vec<String> {
        let Ok(set) = parsed(text, pinned) else { return Vec::new() };
        let mut idle: Vec<_> = set.keys.iter().filter(|key| set.is_ambiguous(key)).collect();
        idle.retain(|key| pinned.is_empty() || pinned.contains(&key.algorithm()));
        let mut algorithms: Vec<_> = idle.iter().map(|key| key.algorithm()).collect();
        algorithms.sort();
        algorithms.dedup();
        let told = |algorithm: Algorithm| {
            let keys = idle.iter().filter(|key| key.algorithm() == algorithm).count();
            format!(
                "{keys} keys for {algorithm} count for nothing: they have no name (`kid`), so that no token can say which of \
                 them it means; the issuer has to give each one that its tokens name, or publish one alone"
            )
        };
        algorithms.into_iter().map(told).collect()
    }

    /// One key that was given by hand.
    pub fn one(key: VerifyingKey) -> Self {
        Self { keys: vec![key] }
    }

    /// What they verify with, each once.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let mut algorithms: Vec<_> = self.keys.iter().map(VerifyingKey::algorithm).collect();
        algorithms.sort();
        algorithms.dedup();
        algorithms
    }

    /// Their thumbprints (RFC 7638), in order: two sets with the same ones are the same.
    pub fn thumbprints(&self) -> Vec<String> {
        let mut thumbprints: Vec<_> = self.keys.iter().map(|key| key.thumbprint().to_owned()).collect();
        thumbprints.sort();
        thumbprints
    }

    /// Each by its name, which is foreign text, and its thumbprint.
    pub fn named(&self) -> Vec<(String, String)> {
        self.keys.iter().map(|key| (key.kid().to_owned(), key.thumbprint().to_owned())).collect()
    }

    /// The set as it is kept. Each key with its name and its algorithm.
    pub fn to_json(&self) -> Value {
        json!({ "keys": self.keys.iter().filter_map(VerifyingKey::to_jwk).collect::<Vec<_>>() })
    }
}

/// RSA keys that name no algorithm are for those that are pinned.
fn parsed(text: &str, pinned: &[Algorithm]) -> Result<KeySet, Fault> {
    let fallback = if pinned.is_empty() { &USUAL } else { pinned };
    KeySet::parse(text, PrivatePart::Refuse, fallback)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str =
        r#"{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const OTHER_X: &str = "1Czo2Myy7SSfwnPqSt1RZ2GQjP-4wTR1AadjC7Agdec";
    /// RFC 7515 A.3.
    const EC: &str = r#"{"kty":"EC","crv":"P-256","kid":"ec","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

    fn set(keys: &[&str]) -> String {
        format!(r#"{{"keys":[{}],"comment":"x"}}"#, keys.join(","))
    }

    #[test]
    fn what_is_kept_is_what_verifies_and_is_pinned() {
        let all = IssuerKeys::read_some(&set(&[ED, EC]), &[]).unwrap();
        assert_eq!(all.algorithms(), [Algorithm::EdDsa, Algorithm::Es256]);
        let pinned = IssuerKeys::read_some(&set(&[ED, EC]), &[Algorithm::Es256]).unwrap();
        assert_eq!(pinned.algorithms(), [Algorithm::Es256]);
        let kept = pinned.to_json();
        assert_eq!(kept["keys"].as_array().map(Vec::len), Some(1));
        assert_eq!((&kept["keys"][0]["kid"], &kept["keys"][0]["alg"]), (&json!("ec"), &json!("ES256")));
        assert!(kept.get("comment").is_none());
        assert_eq!(IssuerKeys::read(&kept.to_string(), &[Algorithm::Es256]), Ok(pinned));
    }

    #[test]
    fn one_name_for_several_algorithms_is_no_matter() {
        let both = EC.replace("\"ec\"", "\"ed\"");
        let read = IssuerKeys::read_some(&set(&[ED, &both, ED]), &[]).unwrap();
        assert_eq!(read.algorithms(), [Algorithm::EdDsa, Algorithm::Es256], "and the same key twice is one");
        assert_eq!(read.thumbprints().len(), 2);
        assert_eq!(
            IssuerKeys::read(&read.to_json().to_string(), &read.algorithms()),
            Ok(read),
            "as it is kept"
        );
    }

    #[test]
    fn a_set_without_a_key_that_fits_is_no_beginning_but_may_be_an_end() {
        for (text, pinned, told) in [
            (set(&[]), &[][..], "empty"),
            (set(&[ED]), &[Algorithm::Rs256], "EdDSA, which is not pinned"),
            (set(&[&ED.replace("Ed25519", "X25519")]), &[], "curve"),
        ] {
            let error = IssuerKeys::read_some(&text, pinned).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
            assert_eq!(IssuerKeys::read(&text, pinned).unwrap().algorithms(), []);
        }
    }

    #[test]
    fn of_several_keys_without_a_name_none_can_be_meant() {
        let nameless = |key: &str| key.replace("\"kid\":\"ed\",", "").replace("\"kid\":\"ec\",", "");
        let other = ED.replace(ED_X, OTHER_X);
        let (first, second, ec) = (nameless(ED), nameless(&other), nameless(EC));
        let pair = set(&[&first, &second]);
        let refused = IssuerKeys::read_some(&pair, &[]);
        assert_eq!(refused, Err(BadKeys::Nameless(Algorithm::EdDsa)));
        assert!(refused.unwrap_err().to_string().contains("(`kid`); give each the one"));
        assert!(IssuerKeys::described(&pair, &[]).unwrap().iter().all(|key| key.left_out.is_some()));

        // Another that can be meant: the pair is told of, unless it was not asked for.
        let beside = set(&[&first, &second, &ec]);
        let told = IssuerKeys::nameless(&beside, &[]);
        assert!(
            matches!(&told[..], [one] if one.starts_with("2 keys for EdDSA count for nothing")),
            "{told:?}"
        );
        assert_eq!(IssuerKeys::read_some(&beside, &[]).unwrap().thumbprints().len(), 3);
        let left_out = IssuerKeys::described(&beside, &[]).unwrap();
        assert_eq!(
            left_out.iter().map(|key| key.left_out.is_some()).collect::<Vec<_>>(),
            [true, true, false]
        );
        let ec_alone = [Algorithm::Es256];
        assert_eq!(IssuerKeys::nameless(&beside, &ec_alone), Vec::<String>::new());
        IssuerKeys::read_some(&beside, &ec_alone).unwrap();

        // One alone is meant by whatever a token says, the same twice is one, and so is one beside a name.
        let named = other.replace("\"ed\"", "\"other\"");
        for fine in [set(&[&first, &ec]), set(&[&first, &first]), set(&[&first, &named])] {
            assert_eq!(IssuerKeys::nameless(&fine, &[]), Vec::<String>::new(), "{fine}");
            IssuerKeys::read_some(&fine, &[]).unwrap();
        }
        // A name may be the thumbprint itself.
        let by_thumbprint = |key: &str| {
            let print = IssuerKeys::read(&set(&[key]), &[]).unwrap().thumbprints().remove(0);
            key.replace("\"kty\"", &format!("\"kid\":\"{print}\",\"kty\""))
        };
        let both = set(&[&by_thumbprint(&first), &by_thumbprint(&second)]);
        assert_eq!(IssuerKeys::nameless(&both, &[]), Vec::<String>::new());
        IssuerKeys::read_some(&both, &[]).unwrap();
    }

    #[test]
    fn a_set_that_can_be_read_in_two_ways_is_refused() {
        let other = ED.replace(ED_X, OTHER_X);
        assert_eq!(IssuerKeys::read(&set(&[ED, &other]), &[]), Err(BadKeys::Set(Fault::SetDuplicate)));
        assert!(IssuerKeys::read("[]", &[]).is_err());
        let secret = r#"{"kty":"oct","kid":"ed","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#;
        let beside = set(&[ED, secret]);
        assert_eq!(
            IssuerKeys::read(&beside, &[]),
            IssuerKeys::read(&set(&[ED]), &[]),
            "a published secret is none"
        );
        let told = IssuerKeys::described(&beside, &[]).unwrap();
        assert_eq!((told.len(), told[0].left_out.as_deref(), told[1].kid.as_deref()), (2, None, Some("ed")));
        assert!(told[1].left_out.as_ref().is_some_and(|why| why.contains("private")), "{told:?}");
        assert!(
            IssuerKeys::read_some(&set(&[secret]), &[Algorithm::Hs256]).is_err(),
            "a published secret is none"
        );
    }
}
