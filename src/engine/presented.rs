//! What a call came with, before it is judged.

use crate::domain::{
    api_key::{BadKey, MARK, PresentedKey},
    secret::Secret,
    token::Possession,
};

/// A credential, or what stands in the place of one.
#[derive(Clone, Debug)]
pub enum Presented {
    Nothing,
    Malformed(BadKey),
    ApiKey(PresentedKey),
    Token(PresentedToken),
}

impl Presented {
    /// A credential by its text alone. What has the mark of our keys is a key, and what has the shape of a token (RFC 7515
    /// §7.1: three parts of base64url) is one; neither is ever tried as the other.
    pub fn of_text(text: &str) -> Self {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let mut parts = text.split('.');
        let is_token = !text.starts_with(MARK)
            && parts.clone().count() == 3
            && parts.all(|part| !part.is_empty() && part.bytes().all(is_letter));
        if is_token {
            return Self::Token(PresentedToken { text: Secret::new(text.to_owned()), possession: None });
        }
        PresentedKey::parse(text).map_or_else(Self::Malformed, Self::ApiKey)
    }

    /// Whether it was meant as an API key.
    pub fn is_key(&self, text: &str) -> bool {
        matches!(self, Self::ApiKey(_)) || text.starts_with(MARK)
    }
}

/// A token as a call came with it.
#[derive(Clone, Debug)]
pub struct PresentedToken {
    pub text: Secret,
    /// The proof of possession beside it, if there was one; it fits the request.
    pub possession: Option<Possession>,
}
