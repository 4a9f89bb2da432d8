//! Who this home is to those who read its tokens.

use serde_json::json;
use url::Url;

use super::{Ctx, OpsError};
use crate::domain::{act::Act, identity::Identity};
use crate::store::{Rows, StoreError, sealed_setting, setting};

pub fn show(ctx: &Ctx) -> Result<Identity, OpsError> {
    Ok(ctx.store.read(read)?)
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
        Ok(read(deed.c)?)
    })
}

/// The names that the store has for its home.
pub(super) fn read(c: &Rows<'_>) -> Result<Identity, StoreError> {
    let Some(store_id) = setting::get(c, setting::STORE_ID)? else {
        return Err(StoreError::Corrupt { file: "the store".into(), detail: "it has no id".into() });
    };
    let resource = sealed_setting::get(c, sealed_setting::RESOURCE)?;
    let resource = resource.map(|text| Url::parse(&text)).transpose().map_err(|error| StoreError::Row {
        table: "sealed_setting",
        row: sealed_setting::RESOURCE.into(),
        why: error.to_string(),
    })?;
    Ok(Identity::new(&store_id, resource))
}
