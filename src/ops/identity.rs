//! Who this home is to those who read its tokens.

use serde_json::json;
use url::Url;

use super::{Ctx, OpsError};
use crate::domain::{act::Act, identity::Identity};
use crate::store::{sealed_setting, trust};

pub fn show(ctx: &Ctx) -> Result<Identity, OpsError> {
    Ok(ctx.store.read(trust::identity)?)
}

/// Makes `resource` the public MCP URL of this home's gateway; the same one again changes nothing. What was issued before
/// stays valid.
pub fn set_resource(ctx: &Ctx, resource: &Url) -> Result<Identity, OpsError> {
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
            deed.record(&text, json!({}))?;
        }
        Ok(trust::identity(deed.c)?)
    })
}
