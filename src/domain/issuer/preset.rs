//! How the tokens of well-known identity providers are written: what an issuer may be begun from.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{Issuer, Mapping};
use crate::domain::token::Profile;

/// One of `assets/issuers.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    pub name: String,
    /// What the provider calls itself.
    pub title: String,
    /// Of what form its URLs are, with what is to be filled in in capitals.
    pub url: String,
    #[serde(default = "oidc")]
    pub profile: Profile,
    #[serde(default = "sub")]
    pub subject: String,
    pub scopes: Vec<String>,
    #[serde(default)]
    pub audience: Option<String>,
    #[serde(default)]
    pub only_mapped: bool,
    /// What is to be known of it, in a sentence or three.
    pub hint: String,
}

fn oidc() -> Profile {
    Profile::Oidc
}

fn sub() -> String {
    "sub".into()
}

static ALL: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        issuer: Vec<Preset>,
    }
    #[expect(clippy::expect_used, reason = "the text is compiled in, and a test reads it")]
    let document: Document =
        toml::from_str(include_str!("../../../assets/issuers.toml")).expect("assets/issuers.toml is valid");
    document.issuer
});

/// A text that names no preset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {known}", known = Preset::all().iter().map(|preset| preset.name.as_str()).collect::<Vec<_>>().join(", "))]
pub struct NoPreset;

impl Preset {
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// With the names that there are.
    pub fn named(name: &str) -> Result<&'static Self, NoPreset> {
        ALL.iter().find(|preset| preset.name == name).ok_or(NoPreset)
    }

    /// What its claims mean, but for the names of scopes.
    pub fn mapping(&self) -> Mapping {
        Mapping {
            like: Some(self.name.clone()),
            subject: self.subject.clone(),
            scopes: self.scopes.clone(),
            audience: self.audience.clone(),
            only_mapped: self.only_mapped,
            ..Mapping::default()
        }
    }

    /// What an issuer that was begun from it was given otherwise, in words.
    pub fn overridden(&self, issuer: &Issuer) -> Vec<&'static str> {
        let mapping = &issuer.mapping;
        [
            ("profile", issuer.profile != self.profile),
            ("subject claim", mapping.subject != self.subject),
            ("scope claims", mapping.scopes != self.scopes),
            ("audience claim", mapping.audience != self.audience),
            ("unmapped scopes", mapping.only_mapped != self.only_mapped),
        ]
        .into_iter()
        .filter_map(|(what, is_other)| is_other.then_some(what))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_preset_is_whole_and_has_a_name_of_its_own() {
        let names: Vec<_> = Preset::all().iter().map(|preset| preset.name.as_str()).collect();
        let wanted = [
            "keycloak",
            "entra",
            "auth0",
            "okta",
            "cognito",
            "google",
            "github",
            "gitlab",
            "zitadel",
            "authentik",
            "dex",
        ];
        assert_eq!(names, wanted);
        for preset in Preset::all() {
            assert!(preset.url.starts_with("https://"), "{}", preset.name);
            assert!(
                !preset.scopes.is_empty() && preset.hint.len() > 40 && !preset.title.is_empty(),
                "{}",
                preset.name
            );
            assert_eq!(preset.mapping().like.as_deref(), Some(preset.name.as_str()));
            assert_eq!(Preset::named(&preset.name).map(|found| &found.title), Ok(&preset.title));
        }
        let told = Preset::named("Keycloak").unwrap_err().to_string();
        assert!(told.contains("keycloak, entra"), "{told}");
    }
}
