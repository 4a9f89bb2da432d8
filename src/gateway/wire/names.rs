//! Names of fields as servers read them, and those of one connection (RFC 9110 §7.6.1).

use std::borrow::Cow;

/// Fields of one connection (RFC 9110 §7.6.1, with the customary ones beside), as [`spelled`].
pub const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Of names of some kind, for the first two letters a bit for each length: spares most names the comparisons.
pub struct Suspects([u64; 1024]);

impl Suspects {
    /// Those that are one of `names`, or begin with one of `beginnings`.
    pub const fn new(names: &[&[&str]], beginnings: &[(&str, &[&str])]) -> Self {
        let mut suspects = [0; 1024];
        let mut list = 0;
        while list < names.len() {
            let mut index = 0;
            while index < names[list].len() {
                let name = names[list][index].as_bytes();
                suspects[Self::place(name[0], name[1])] |= 1 << name.len();
                index += 1;
            }
            list += 1;
        }
        let mut index = 0;
        while index < beginnings.len() {
            let beginning = beginnings[index].0.as_bytes();
            suspects[Self::place(beginning[0], beginning[1])] |= u64::MAX << beginning.len();
            index += 1;
        }
        Self(suspects)
    }

    /// Letters have places of their own; which mark it is does not count.
    const fn place(first: u8, second: u8) -> usize {
        let second = if second.is_ascii_alphanumeric() { second } else { b'-' };
        (first as usize & 31) << 5 | (second as usize & 31)
    }

    pub fn has(&self, name: &[u8]) -> bool {
        let lengths = match name {
            [first, second, ..] => self.0[Self::place(*first, *second)],
            _ => 0,
        };
        lengths & (1 << name.len().min(63)) != 0
    }
}

/// A name, which is in lower case, with every mark between its words made a `-`.
pub fn spelled(name: &[u8]) -> Cow<'_, [u8]> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    if name.iter().all(is_plain) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.iter().map(|byte| if is_plain(byte) { *byte } else { b'-' }).collect())
}

/// Whether a name is one of these.
pub fn is_among(name: &[u8], names: &[&str]) -> bool {
    names.iter().any(|known| known.as_bytes() == name)
}

/// The words of a list; of `Connection`: names of fields of this connection, beside `close` and `keep-alive`.
pub fn options(connection: &[u8]) -> impl Iterator<Item = &[u8]> {
    connection.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}
