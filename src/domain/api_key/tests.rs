use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_785_000_000_000);

fn at(offset: i64) -> Timestamp {
    Timestamp::from_millis(NOW.millis() + offset)
}

fn fresh() -> (KeyId, KeySecret, String) {
    let (id, secret) = (KeyId::generate().unwrap(), KeySecret::generate().unwrap());
    let text = secret.join(Environment::default(), id).expose().to_owned();
    (id, secret, text)
}

fn key(digest: SecretDigest) -> ApiKey {
    ApiKey {
        id: KeyId::generate().unwrap(),
        environment: Environment::default(),
        name: String::new(),
        subject: "ana".parse().unwrap(),
        scopes: Vec::new(),
        policy: PolicyName::default(),
        created_at: NOW,
        expires_at: None,
        disabled: false,
        revoked_at: None,
        revoked_reason: String::new(),
        rotated_at: None,
        previous_until: None,
        digest,
        previous_digest: None,
    }
}

#[test]
fn a_key_reads_back_as_it_was_made() {
    let (id, secret, text) = fresh();
    assert_eq!(text.len(), "pcl_live_".len() + 22 + 1 + 43 + 6);
    let read = PresentedKey::parse(&text).unwrap();
    assert_eq!(read.id, id);
    assert_eq!(read.environment, Some(Environment::default()));
    assert_eq!(read.secret.as_bytes(), secret.as_bytes());
}

/// Checksum worked out with Python's `zlib.crc32`.
#[test]
fn the_written_form_is_the_documented_one() {
    let text = format!("pcl_live_{}_{}", "0".repeat(22), "A".repeat(43));
    assert!(PresentedKey::parse(&(text + "21FKwS")).is_ok());
}

#[test]
fn two_keys_are_never_alike() {
    let (first, second) = (fresh(), fresh());
    assert_ne!(first.0, second.0);
    assert_ne!(first.1.as_bytes(), second.1.as_bytes());
}

#[test]
fn random_characters_are_the_whole_alphabet() {
    let made: String = (0..200).map(|_| KeyId::generate().unwrap().to_string()).collect();
    let mut seen: Vec<char> = made.chars().collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 62);
}

#[test]
fn texts_of_another_shape_are_refused_by_name() {
    let (id, _, text) = fresh();
    let secret = &text[text.len() - 49..];
    for (wrong, fault) in [
        (String::new(), BadKey::Shape),
        ("sk_live_abc".into(), BadKey::Shape),
        (text.replacen("pcl", "PCL", 1), BadKey::Shape),
        (format!("{text}_"), BadKey::Shape),
        (format!(" {text}"), BadKey::Shape),
        (format!("{text} "), BadKey::Checksum(Some(id))),
        (text[..text.len() - 1].to_owned(), BadKey::Checksum(Some(id))),
        (text[..text.len() - 6].to_owned(), BadKey::Checksum(Some(id))),
        (format!("pcl_live_{id}_"), BadKey::Checksum(Some(id))),
        (format!("pcl_test_{id}_{secret}"), BadKey::Checksum(Some(id))),
        (format!("pcl_live_{}_{secret}", &id.as_str()[1..]), BadKey::Checksum(None)),
        (text.replace('_', "＿"), BadKey::Shape),
        (format!("{}é", &text[..text.len() - 2]), BadKey::Checksum(Some(id))),
        (checked("pcl__0000000000000000000000_"), BadKey::Environment),
        (checked("pcl_LIVE_0000000000000000000000_"), BadKey::Environment),
        (checked("pcl_ninechars_0000000000000000000000_"), BadKey::Environment),
        (checked("pcl_live_000000000000000000000_"), BadKey::Id),
        (checked("pcl_live_000000000000000000000-_"), BadKey::Id),
        (checked("pcl_live_0000000000000000000000_0"), BadKey::Secret),
    ] {
        assert_eq!(PresentedKey::parse(&wrong).unwrap_err(), fault, "{wrong}");
    }
}

/// `start` with a secret of zeros and the checksum that fits it.
fn checked(start: &str) -> String {
    let text = format!("{start}{}", "0".repeat(43));
    let mut rest = crc32fast::hash(text.as_bytes());
    let mut digits = Vec::new();
    for _ in 0..6 {
        digits.push(
            "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".as_bytes()[rest as usize % 62],
        );
        rest /= 62;
    }
    digits.reverse();
    text + std::str::from_utf8(&digits).unwrap()
}

#[test]
fn the_split_form_takes_the_secret_with_or_without_its_checksum() {
    let (id, secret, text) = fresh();
    let long = &text[text.len() - 49..];
    for given in [long, &long[..43]] {
        let read = PresentedKey::from_parts(id.as_str(), given).unwrap();
        assert_eq!((read.environment, read.id), (None, id));
        assert_eq!(read.secret.as_bytes(), secret.as_bytes());
    }
    for given in ["", &long[..42], &long[..44], &format!("{}-", &long[..42]), &format!("{}-", &long[..48])] {
        assert_eq!(PresentedKey::from_parts(id.as_str(), given).unwrap_err(), BadKey::Secret);
    }
    assert_eq!(PresentedKey::from_parts("short", long).unwrap_err(), BadKey::Id);
}

#[test]
fn nothing_secret_shows_in_debug() {
    let (id, secret, text) = fresh();
    let digest = Pepper::new(&[7; 32]).digest(&secret);
    let shown = format!("{:?} {digest:?} {:?}", PresentedKey::parse(&text).unwrap(), Pepper::new(&[7; 32]));
    assert!(shown.contains(id.as_str()));
    assert!(!shown.contains(&text[text.len() - 49..text.len() - 6]));
    assert!(!shown.contains("7, 7") && !shown.contains(&hex::encode(digest.as_bytes())), "{shown}");
}

#[test]
fn a_digest_is_hmac_sha256_under_the_pepper() {
    let (_, secret, _) = fresh();
    let pepper: [u8; 32] = std::array::from_fn(|position| position as u8);
    let other = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &pepper);
    let expected = aws_lc_rs::hmac::sign(&other, secret.as_bytes());
    assert_eq!(Pepper::new(&pepper).digest(&secret).as_bytes().as_slice(), expected.as_ref());
}

#[test]
fn the_secret_before_a_rotation_counts_until_its_grace_ends() {
    let [current, before, other] = [1, 2, 3].map(|byte| SecretDigest::from_bytes([byte; 32]));
    let mut key = key(current);
    assert!(key.accepts(&current, NOW));
    assert!(!key.accepts(&before, NOW));
    key.previous_digest = Some(before);
    assert!(!key.accepts(&before, NOW), "no grace was given");
    key.previous_until = Some(at(1));
    assert!(key.accepts(&before, NOW));
    assert!(key.accepts(&current, NOW));
    assert!(!key.accepts(&other, NOW));
    assert!(!key.accepts(&before, at(1)), "the end is exclusive");
    assert!(key.accepts(&current, at(1)));
}

#[test]
fn revoked_beats_expired_beats_disabled() {
    let mut key = key(SecretDigest::from_bytes([0; 32]));
    assert_eq!(key.state(NOW), KeyState::Active);
    key.disabled = true;
    assert_eq!(key.state(NOW), KeyState::Disabled);
    key.expires_at = Some(NOW);
    assert_eq!(key.state(at(-1)), KeyState::Disabled);
    assert_eq!(key.state(NOW), KeyState::Expired);
    key.revoked_at = Some(at(5000));
    assert_eq!(key.state(NOW), KeyState::Revoked, "whatever the clock of the revoking process said");
}

#[test]
fn a_key_is_exported_without_its_digests() {
    let json = serde_json::to_string(&key(SecretDigest::from_bytes([0xAB; 32]))).unwrap();
    assert!(!json.contains("digest") && !json.contains("171"), "{json}");
}

proptest! {
    #[test]
    fn one_wrong_character_is_always_caught(position in 0_usize..81, typed in "[ -~é]") {
        let (_, _, text) = fresh();
        prop_assume!(text[position..=position] != typed);
        let mistyped = format!("{}{typed}{}", &text[..position], &text[position + 1..]);
        prop_assert!(PresentedKey::parse(&mistyped).is_err(), "{}", mistyped);
    }

    #[test]
    fn a_swap_of_neighbours_is_always_caught(position in 0_usize..80) {
        let (_, _, text) = fresh();
        let mut swapped = text.clone().into_bytes();
        swapped.swap(position, position + 1);
        prop_assume!(swapped != text.as_bytes());
        prop_assert!(PresentedKey::parse(std::str::from_utf8(&swapped).unwrap()).is_err());
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>(), id in any::<String>()) {
        let _ = PresentedKey::parse(&text);
        let _ = PresentedKey::parse(&format!("pcl_live_{id}_{text}"));
        let _ = PresentedKey::from_parts(&id, &text);
    }
}
