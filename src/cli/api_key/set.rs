//! `portcullis key set`: changes keys in place.

use std::time::Duration;

use clap::Args;

use super::{COLUMNS, Shown};
use crate::{
    cli::{
        error::{CliError, Code},
        input,
        output::{self, List},
        session::Session,
    },
    domain::{
        clock::parse_life,
        name::{PolicyName, ScopeName},
    },
    ops::api_key::{self as ops, Changes},
};

#[derive(Debug, Args)]
pub struct Options {
    /// The keys' ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct What {
    /// The policy they are under from now on
    #[arg(long)]
    policy: Option<PolicyName>,
    /// What they may reach, in the place of what they could; once for each scope, or several between commas
    #[arg(long = "scope", value_delimiter = ',', value_parser = input::scope, value_name = "SCOPE")]
    scopes: Option<Vec<ScopeName>>,
    /// A label for people; '' for none
    #[arg(long)]
    name: Option<String>,
    /// How long they live from now on, such as 30m, 24h or 90d; an expired key lives again
    #[arg(long, value_parser = parse_life, value_name = "LIFE", allow_hyphen_values = true)]
    expires_in: Option<Duration>,
    /// They never expire
    #[arg(long, conflicts_with = "expires_in")]
    no_expiry: bool,
}

impl What {
    fn changes(self) -> Changes {
        Changes {
            policy: self.policy,
            scopes: self.scopes,
            name: self.name,
            life: if self.no_expiry { Some(None) } else { self.expires_in.map(Some) },
            seen: None,
        }
    }
}

pub fn run(session: &Session, options: Options) -> Result<Code, CliError> {
    let ids = options.ids.iter().map(|id| input::key_id(id)).collect::<Result<Vec<_>, _>>()?;
    let keys = ops::set_all(&session.operator()?, &ids, options.what.changes())?;
    let now = session.now();
    let items = keys.iter().map(|key| Shown::new(key, now)).collect();
    output::list(session.format(false), &COLUMNS, &List { items, next: None }, Shown::cells)?;
    Ok(Code::Done)
}
