//! A form, read strictly: each parameter once (RFC 6749 §3.2).

use std::collections::BTreeMap;

use super::answer::Fault;
use crate::domain::secret::Secret;

/// The parameters of a request. One that is sent without a value counts as left out.
#[derive(Debug)]
pub struct Form(BTreeMap<String, Secret>);

impl Form {
    /// # Errors
    /// `invalid_request` where it is not ASCII, or a parameter stands in it twice.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if !bytes.is_ascii() {
            return Err(Fault::invalid_request("a form holds nothing but ASCII"));
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            let value = Secret::new(value.into_owned());
            if parameters.insert(name.into_owned(), value).is_some() {
                return Err(Fault::invalid_request("a parameter stands more than once"));
            }
        }
        parameters.retain(|_, value| !value.expose().is_empty());
        Ok(Self(parameters))
    }

    /// The value of a parameter, where it was sent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    /// # Errors
    /// `invalid_request` where the parameter was not sent.
    pub fn need(&self, name: &'static str) -> Result<&str, Fault> {
        self.get(name).ok_or_else(|| Fault::invalid_request(format!("the parameter {name} is missing")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_says_each_thing_once() {
        let form = Form::parse(b"grant_type=a%3Ab&scope=x+y&empty=&flag").unwrap();
        assert_eq!((form.get("grant_type"), form.get("scope")), (Some("a:b"), Some("x y")));
        assert_eq!((form.get("empty"), form.get("flag"), form.get("other")), (None, None, None));
        assert!(form.need("empty").is_err());
        for twice in [&b"a=1&a=1"[..], b"a=1&%61=2", b"a=&a=1", b"a=\xe9"] {
            assert_eq!(Form::parse(twice).unwrap_err().error, "invalid_request", "{twice:?}");
        }
    }
}
