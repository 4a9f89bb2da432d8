//! A person at the console who issues tokens, has them judged, and takes them back; and what the command line says of
//! those tokens.

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::{
    PORTCULLIS,
    home::Home,
    terminal::{Size, Terminal},
};

fn open(home: &Home, size: Size, more: &[&str]) -> Terminal {
    let arguments = [&["--home", home.path().to_str().expect("a UTF-8 path"), "console"], more].concat();
    Terminal::start(size, Path::new(PORTCULLIS), &arguments, &[])
}

fn leave(mut terminal: Terminal) {
    terminal.press("Q");
    assert!(terminal.wait_for_end().success());
    terminal.assert_restored();
}

/// The token in the panel that shows it once, put together from the rows that it takes.
fn token_on(contents: &str) -> String {
    let is_token = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut rows = contents.lines().skip_while(|row| !row.contains("eyJ"));
    let first = rows.next().expect("the token is on the screen");
    let column = first.split("eyJ").next().unwrap_or_default().chars().count();
    let run = |row: &str| row.chars().skip(column).take_while(is_token).collect::<String>();
    let mut token = run(first);
    let width = token.len();
    for row in rows {
        let more = run(row);
        // words stand below it, with spaces between them
        let is_word =
            row.chars().skip(column + more.len()).take_while(|c| *c != '│').any(|c| c.is_alphanumeric());
        if more.is_empty() || is_word {
            break;
        }
        token.push_str(&more);
        if more.len() < width {
            break;
        }
    }
    assert_eq!(token.split('.').count(), 3, "a whole token: {} characters", token.len());
    token
}

/// What `token verify` says of it.
fn verify(home: &Home, token: &str) -> Value {
    let mut command: Command = home.command();
    let mut child = command
        .args(["--json", "token", "verify"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("its standard input").write_all(token.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_token_is_issued_believed_revoked_and_refused() {
    for size in [Size(80, 24), Size(160, 45)] {
        let home = Home::new();
        let mut terminal = open(&home, size, &[]);
        terminal.wait_for("Nothing may call your MCP server yet");
        terminal.press("3");
        terminal.wait_for("No token is remembered");

        // A wrong form says so; the right one shows the token, once.
        terminal.press("n");
        terminal.wait_for("for whom it speaks");
        terminal.press("ctrl-s");
        terminal.wait_for("pick at least one");
        terminal.press("ada@example.org tab");
        terminal.wait_for("[ ] mcp:*");
        terminal.press("down down space");
        terminal.wait_for("[✓] mcp:*");
        terminal.press("ctrl-s");
        terminal.wait_for("the token, shown once");
        terminal.wait_for("it cannot be shown again");
        let token = token_on(&terminal.contents());
        terminal.press("y");
        terminal.wait_for("sent to the terminal's clipboard");
        terminal.press("esc");
        terminal.wait_until_gone("eyJ");
        terminal.wait_for("1/1");

        let said = verify(&home, &token);
        assert_eq!(
            (&said["valid"], &said["claims"]["sub"]),
            (&true.into(), &"ada@example.org".into()),
            "{said}"
        );

        // Revoking says what it ends; enter alone is harmless.
        terminal.press("R");
        terminal.wait_for("ends 1 live");
        terminal.press("ctrl-s");
        terminal.wait_for("It ends 1 live token of this home");
        terminal.press("enter");
        terminal.wait_until_gone("It ends 1 live token");
        assert_eq!(verify(&home, &token)["valid"], true, "still a token");
        terminal.press("R");
        terminal.wait_for("ends 1 live");
        terminal.press("ctrl-s");
        terminal.wait_for("reason (recorded)");
        terminal.press("backtab lost tab tab enter");
        terminal.wait_for("revoked token");
        terminal.wait_for("✕ revoked");
        let said = verify(&home, &token);
        assert_eq!((&said["valid"], &said["reason"]), (&false.into(), &"revoked".into()), "{said}");

        // The console says the same of it when it is pasted.
        terminal.press("i");
        terminal.wait_for("Paste a token here");
        let (one, other) = token.split_at(50);
        terminal.type_text(&format!("\u{1b}[200~{one}\r\n  {other}\n\u{1b}[201~"));
        terminal.wait_for("NOT valid: revoked: this token was revoked");
        terminal.wait_for("✓ signature");
        terminal.press("esc");
        terminal.wait_until_gone("NOT valid");

        // Its key is rotated: the old one goes on verifying.
        terminal.press("K");
        terminal.wait_for("● active");
        terminal.press("r");
        terminal.wait_for("publish ahead");
        terminal.press("ctrl-s");
        terminal.wait_for("○ verifying");
        terminal.press("esc");
        terminal.wait_until_gone("This key");
        leave(terminal);

        let keys = home.json(&["signing-key", "list"]);
        let states: Vec<&str> = keys["items"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|key| key["state"].as_str())
            .collect();
        assert_eq!(states, ["active", "verifying"]);
        assert_eq!(home.json(&["audit", "verify"])["valid"], true);
    }
}

#[test]
fn an_auditor_sees_tokens_and_signing_keys_and_changes_none() {
    let home = Home::new();
    let issued = home.json(&["token", "issue", "--subject", "ada", "--scope", "mcp:*"]);
    let token = issued["token"].as_str().expect("a token");
    let records = home.json(&["audit", "verify"])["records"].clone();
    let mut terminal = open(&home, Size(80, 24), &["--read-only"]);
    terminal.wait_for("READ-ONLY");
    for keys in ["n", "R"] {
        terminal.press("3");
        terminal.wait_for("mcp:*");
        terminal.press(keys);
        terminal.wait_for("read-only: opened with --read-only");
        terminal.press("1");
        terminal.wait_for("› overview");
    }
    terminal.press("3");
    terminal.wait_for("mcp:*");
    terminal.press("K");
    terminal.wait_for("● active");
    for key in ["n", "I", "r", "R"] {
        terminal.press(key);
        terminal.wait_for("read-only: opened with --read-only");
    }
    terminal.press("esc");
    terminal.wait_until_gone("This key");
    terminal.press("i");
    terminal.wait_for("Paste a token here");
    terminal.type_text(&format!("\u{1b}[200~{token}\u{1b}[201~"));
    terminal.wait_for("✓ valid");
    terminal.press("esc");
    terminal.wait_until_gone("✓ valid");
    leave(terminal);
    assert_eq!(home.json(&["audit", "verify"])["records"], records, "no record was written");
    assert_eq!(home.json(&["signing-key", "list"])["items"].as_array().map(Vec::len), Some(1));
}
