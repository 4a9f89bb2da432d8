//! `portcullis key list`.

use clap::Args;

use super::{COLUMNS, Shown};
use crate::{
    cli::{
        error::{CliError, Code},
        output::{self, List},
        session::Session,
    },
    domain::filter::{Filter, KEY_FIELDS},
    ops::api_key as ops,
    store::api_key::{Query, Sort},
};

/// Keys asked for at once where all are wanted.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub struct Options {
    /// Which: text, field:value, field:=exact, expires<30d, !not; all must hold. Fields: id name
    /// subject policy scope state env expires created
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// By which field
    #[arg(long, default_value = "created", value_parser = Sort::ALL.map(Sort::as_str))]
    sort: String,
    /// Greatest first
    #[arg(long)]
    desc: bool,
    /// How many at most
    #[arg(long, default_value_t = 100, allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Go on after this cursor (`next` of the page before)
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// All there are, without pages
    #[arg(long, conflicts_with_all = ["limit", "after"])]
    all: bool,
    /// Answer in CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

pub fn run(session: &Session, options: &Options) -> Result<Code, CliError> {
    let now = session.now();
    let filter = Filter::parse(&options.filter, KEY_FIELDS, now)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let sort = Sort::ALL.into_iter().find(|sort| sort.as_str() == options.sort).unwrap_or(Sort::Created);
    let query = Query { filter, sort, descending: options.desc, now };
    let ctx = session.lister()?;
    let limit = if options.all { PAGE } else { options.limit };
    let mut page = ops::list(&ctx, &query, options.after.as_deref(), limit)?;
    while options.all
        && let Some(after) = page.next.take()
    {
        let more = ops::list(&ctx, &query, Some(&after), limit)?;
        page.items.extend(more.items);
        page.damaged.extend(more.damaged);
        page.next = more.next;
    }
    let shown = page.items.iter().map(|key| Shown::new(key, now)).collect();
    output::list(
        session.format(options.csv),
        &[&COLUMNS[..], &["created"]].concat(),
        &List { items: shown, next: page.next },
        |shown: &Shown<'_>| [shown.cells(), vec![shown.key.created_at.to_string()]].concat(),
    )?;
    Ok(output::damaged(&page.damaged))
}
