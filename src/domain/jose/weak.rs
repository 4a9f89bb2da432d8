//! Public keys that have the right form and protect nothing.

/// The primes and the multiplicative subgroups of the ROCA fingerprint (CVE-2017-15361; Nemec et al., “The Return of
/// Coppersmith's Attack”, CCS 2017, §3): a modulus of the flawed generator is a power of 65537 modulo each of them.
const PRIMES: [u64; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether an RSA modulus (big-endian) has the fingerprint of ROCA. One in about 2^30 sound keys has it by chance.
pub(super) fn is_roca(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus.iter().fold(0, |rest, &byte| (rest * 256 + u64::from(byte)) % prime);
        let mut power = 1;
        loop {
            if power == rest {
                return true;
            }
            power = power * 65537 % prime;
            if power == 1 {
                return false;
            }
        }
    })
}

/// Whether an Ed25519 public key is one of the points of small order, in any encoding: under such a key one signature
/// fits every message. They are y = 0, 1, -1, and the two of order eight, canonical or not, with either sign.
pub(super) fn is_small_order(key: &[u8; 32]) -> bool {
    const POINTS: [&str; 7] = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let mut point = *key;
    point[31] &= 0x7f;
    POINTS.contains(&hex::encode(point).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The product of the first primes plus one is 1 modulo each, hence a power of 65537; one more is not.
    #[test]
    fn a_power_of_65537_modulo_every_prime_is_the_fingerprint() {
        assert!(is_roca(&[1]));
        assert!(is_roca(&65537_u32.to_be_bytes()));
        assert!(is_roca(&(65537_u64 * 65537).to_be_bytes()));
        assert!(!is_roca(&[2, 1]));
        assert!(!is_roca(&65539_u32.to_be_bytes()));
    }

    #[test]
    fn points_of_small_order_are_known_in_every_spelling() {
        let mut identity = [0; 32];
        identity[0] = 1;
        assert!(is_small_order(&identity));
        identity[31] = 0x80;
        assert!(is_small_order(&identity));
        assert!(is_small_order(&[0; 32]));
        let mut other = [0; 32];
        other[0] = 2;
        assert!(!is_small_order(&other));
    }
}
