//! `portcullis store …`: what to do where the home's store is lost, or is not the one that it had.

use std::sync::Arc;

use clap::{Args, Subcommand};

use super::{
    error::{CliError, Code},
    output,
    session::Session,
};
use crate::{
    domain::text::for_shell,
    ops::{Ctx, store as ops},
    store::{
        Versions,
        upgrade::{CopyBefore, Upgraded},
    },
};

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Go on with the store that is there, such as an older copy. Who was revoked or disabled since is stopped again, as
    /// far as the home remembers
    Accept(Why),
    /// Bring the store of an earlier release up to date; that release cannot read it any more. A copy of it as it was is kept in
    /// the home. serve and console do it too
    Upgrade {
        /// Keep no copy, such as where the disk has no room for it. Make a backup with the earlier release first
        #[arg(long)]
        without_copy: bool,
    },
    /// Make a new store where the old one is lost; what is left of the old one is moved aside, and the vault's key stays
    BeginAnew(Why),
}

#[derive(Debug, Args)]
pub struct Why {
    /// Why; it stands in the audit log
    #[arg(long, default_value = "", hide_default_value = true)]
    reason: String,
}

pub fn run(session: &Session, verb: Verb) -> Result<Code, CliError> {
    let (home, clock) = (session.home()?, Arc::clone(&session.clock));
    match verb {
        Verb::Accept(Why { reason }) => {
            let accepted = ops::accept(&home, "cli", clock, &reason)?;
            if session.json {
                output::json(&accepted)?;
                return Ok(Code::Done);
            }
            output::line(&format!("accepted: the store whose audit chain ended at record {}", accepted.seq))?;
            for stopped in &accepted.stopped {
                output::line(&format!("stopped again: {stopped}"))?;
            }
            for unknown in &accepted.unknown {
                output::remark(&format!("cannot be known: {unknown}"));
            }
            output::remark("gateways that run on this home are to be started again");
        }
        Verb::Upgrade { without_copy } => {
            if !session.has_store()? {
                session.witness()?;
                return Err(CliError::new(
                    Code::NotFound,
                    "there is no store in this home yet, and nothing to upgrade",
                ));
            }
            let copy = if without_copy { CopyBefore::Omit } else { CopyBefore::Keep };
            let ctx = ops::upgrade(&home, "cli", clock, copy)?;
            let versions = ctx.store.versions()?;
            if session.json {
                let mut answer = serde_json::to_value(versions).unwrap_or_default();
                answer["upgraded"] = serde_json::to_value(&ctx.upgraded).unwrap_or_default();
                output::json(&answer)?;
                return Ok(Code::Done);
            }
            let Versions { portcullis, usage } = versions;
            output::line(&format!(
                "up to date: portcullis.db is of version {portcullis}, usage.db of version {usage}"
            ))?;
            tell_upgraded(&ctx);
        }
        Verb::BeginAnew(Why { reason }) => {
            let begun = ops::begin_anew(&home, "cli", clock, &reason)?;
            if session.json {
                output::json(&begun)?;
                return Ok(Code::Done);
            }
            output::line(&format!("begun anew: store {}", begun.store_id))?;
            match begun.aside {
                Some(aside) => output::remark(&format!(
                    "what was left of the old one is in {}",
                    home.path().join(aside).display()
                )),
                None => output::remark("nothing was left of the old one"),
            }
            output::remark("no credential of the old store is known any more; issue new ones");
        }
    }
    Ok(Code::Done)
}

/// Says where the store is kept as it was, where it was brought up to date when it was opened.
pub fn tell_upgraded(ctx: &Ctx) {
    let Some(Upgraded { from: Versions { portcullis, usage }, copy, size, .. }) = &ctx.upgraded else {
        return;
    };
    let kept = match copy {
        None => "no copy of it is kept".to_owned(),
        Some(copy) => format!(
            "as it was it is kept in {} ({} KiB); when all is well: rm -r {}",
            copy.display(),
            size.unwrap_or_default().div_ceil(1024),
            for_shell(copy)
        ),
    };
    output::remark(&format!(
        "the store was of an earlier portcullis (versions {portcullis} and {usage}) and was brought up to date; {kept}"
    ));
}
