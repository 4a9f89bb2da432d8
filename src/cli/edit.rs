//! `policy edit`: the document in $EDITOR, checked before it is saved, and never over somebody else's change.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{self, IsTerminal, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    error::{CliError, Code},
    input, output, policy,
    session::Session,
};
use crate::{
    domain::{name::PolicyName, policy::Policy},
    ops::policy as ops,
};

pub fn run(session: &Session, name: &PolicyName, reason: &str) -> Result<Code, CliError> {
    let editor = editor()?;
    let ctx = session.operator()?;
    let before = ops::show(&ctx, name)?;
    let document = before.policy.to_json();
    let draft = write_draft(name, &document)?;
    // Whatever goes wrong from here on, the work of the person at the editor is kept and named.
    let kept = |error: CliError| {
        let is_untouched = fs::read_to_string(&draft).is_ok_and(|text| text.trim_end() == document);
        if is_untouched && fs::remove_file(&draft).is_ok() {
            return error;
        }
        let step = format!("portcullis policy apply {}", draft.display());
        if error.mend.is_some() { error } else { error.mend(format!("what you wrote is kept; {step}")) }
    };
    open_editor(&editor, &draft).map_err(kept)?;
    let text = input::document(&draft).map_err(kept)?;
    let after = Policy::from_json(&text).map_err(|bad| kept(policy::refused("what you wrote", &bad)))?;
    if after.name != *name {
        return Err(kept(CliError::usage(format!(
            "the name was changed from {name} to {}; a policy keeps its name",
            after.name
        ))));
    }
    let changes = before.policy.diff(&after);
    if !session.json {
        policy::show_changes(&changes)?;
    }
    let revision = if changes.is_empty() {
        before
    } else {
        ops::apply_over(&ctx, after, before.revision, reason).map_err(|error| kept(error.into()))?
    };
    if let Err(error) = fs::remove_file(&draft) {
        output::remark(&format!("{} could not be removed: {error}", draft.display()));
    }
    policy::saved(session, &revision)
}

/// A file of our own that nobody else can read or has put there before us.
fn write_draft(name: &PolicyName, text: &str) -> Result<PathBuf, CliError> {
    let path = env::temp_dir().join(format!("portcullis-{name}-{}.json", uuid::Uuid::now_v7().simple()));
    let write = |mut file: File| file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n"));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(write)
        .map_err(|error| CliError::broken(format!("{} cannot be written: {error}", path.display())))?;
    Ok(path)
}

/// $VISUAL, else $EDITOR, else `vi` where there is a terminal that it could open on.
fn editor() -> Result<String, CliError> {
    let chosen = ["VISUAL", "EDITOR"]
        .into_iter()
        .find_map(|name| env::var(name).ok().filter(|value| !value.trim().is_empty()));
    match chosen {
        Some(editor) => Ok(editor),
        None if io::stdin().is_terminal() && io::stdout().is_terminal() => Ok("vi".into()),
        None => Err(CliError::usage("there is no terminal to edit on, and $EDITOR is not set")
            .mend("portcullis policy export NAME > FILE; portcullis policy apply FILE")),
    }
}

/// Runs the editor as git does: through the shell, so that it may carry options.
fn open_editor(editor: &str, draft: &Path) -> Result<(), CliError> {
    let ended = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(draft).status();
    match ended {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => {
            Err(CliError::broken(format!("the editor `{editor}` ended with {status}; nothing was saved")))
        }
        Err(error) => Err(CliError::broken(format!("the editor `{editor}` cannot be started: {error}"))
            .mend("set EDITOR, or: portcullis policy export NAME > FILE; portcullis policy apply FILE")),
    }
}
