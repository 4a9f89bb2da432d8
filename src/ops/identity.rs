//! Who this home is to those who read its tokens.

use serde_json::json;
use url::Url;

use super::{Ctx, OpsError};
use crate::domain::{act::Act, identity::HomeNames};
use crate::store::{issuer, sealed_setting, trust};

pub fn show(ctx: &Ctx) -> Result<HomeNames, OpsError> {
    Ok(ctx.store.read(trust::identity)?)
}

/// Makes `resource` the public MCP URL of this home's gateway; the same one again changes nothing. What was issued before
/// stays valid.
pub fn set_resource(ctx: &Ctx, resource: &Url) -> Result<HomeNames, OpsError> {
    let text = resource.to_string();
    ctx.check(Act::ResourceSet, &text, || {
        if matches!(resource.scheme(), "https" | "http") && resource.fragment().is_none() && resource.has_host() {
            return Ok(());
        }
        Err(OpsError::Invalid(format!(
            "`{text}` cannot be the public URL of a gateway: it begins with https:// (or http://) and has no #fragment"
        )))
    })?;
    ctx.perform(Act::ResourceSet, &text.clone(), move |deed| {
        if sealed_setting::get(deed.c, sealed_setting::RESOURCE)?.as_ref() != Some(&text) {
            sealed_setting::set(deed.c, sealed_setting::RESOURCE, &text)?;
            // Nobody else may speak under what is from now on this home's own name.
            let own = trust::identity(deed.c)?.issuers();
            let is_own = |iss: &String| own.contains(iss);
            if let Some(other) =
                issuer::sound(deed.c)?.0.into_iter().find(|other| other.iss.as_ref().is_some_and(is_own))
            {
                return Err(OpsError::Conflict(format!(
                    "the registered issuer {0} has the `iss` that this home would have at {text}; remove it first: \
                     portcullis issuer remove {0}",
                    other.name
                )));
            }
            deed.record(&text, json!({}))?;
        }
        Ok(trust::identity(deed.c)?)
    })
}
