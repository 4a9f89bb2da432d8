//! A person at the console, in a real terminal, beside a running gateway: what is pressed, what is seen, and what the
//! gateway does at the very next call.

use std::path::Path;

use serde_json::json;

use crate::support::{
    PORTCULLIS,
    gateway::{Gateway, Reply},
    home::{Home, policy},
    terminal::{Size, Terminal},
    upstream::DemoServer,
};

const SIZES: [Size; 2] = [Size(80, 24), Size(160, 45)];

/// `pcl_live_`, an id of 22, `_`, a secret of 43, a checksum of 6.
const KEY_LENGTH: usize = 81;

fn open(home: &Home, size: Size, more: &[&str], variables: &[(&str, &str)]) -> Terminal {
    let arguments = [&["--home", home.path().to_str().expect("a UTF-8 path"), "console"], more].concat();
    Terminal::start(size, Path::new(PORTCULLIS), &arguments, variables)
}

fn leave(mut terminal: Terminal) {
    terminal.press("Q");
    assert!(terminal.wait_for_end().success());
    terminal.assert_restored();
}

/// A call of the demo server's harmless tool.
fn search(gateway: &Gateway, key: &str) -> Reply {
    let (tool, arguments) = DemoServer::harmless_call();
    gateway.call(key, tool, arguments.into())
}

/// The key in the panel that shows it once, put together from the rows that it takes.
fn key_on(contents: &str) -> String {
    let is_key = |c: &char| c.is_ascii_alphanumeric() || *c == '_';
    let mut rows = contents.lines().skip_while(|row| !row.contains("pcl_live_"));
    let first = rows.next().expect("the key is on the screen");
    let column = first.split("pcl_live_").next().unwrap_or_default().chars().count();
    let run = |row: &str| row.chars().skip(column).take_while(is_key).collect::<String>();
    let mut key = run(first);
    while key.len() < KEY_LENGTH {
        key.push_str(&run(rows.next().expect("the rest of the key is below")));
    }
    assert_eq!(key.len(), KEY_LENGTH);
    key
}

#[test]
fn from_nothing_to_a_key_that_works_is_limited_and_ends() {
    let server = DemoServer::start();
    for size in SIZES {
        let home = Home::new();
        let mut terminal = open(&home, size, &[], &[]);

        // An empty home says what to do next.
        terminal.wait_for("Nothing may call your MCP server yet");
        terminal.wait_for("portcullis serve --upstream");

        // A key, by the form.
        terminal.press("n");
        terminal.wait_for("new API key");
        terminal.wait_for("for whom it speaks");
        terminal.press("ctrl-s");
        terminal.wait_for("pick at least one");
        terminal.press("ada@example.org tab laptop tab");
        terminal.wait_for("[ ] mcp:*");
        terminal.press("down down space");
        terminal.wait_for("[✓] mcp:*");
        terminal.press("ctrl-s");
        terminal.wait_for("the key, shown once");
        terminal.wait_for("this key cannot be shown again");
        let key = key_on(&terminal.contents());
        terminal.press("esc");
        // Of the secret, and on one row at every size; the detail beside the list says how the key begins.
        terminal.wait_until_gone(&key[40..60]);
        terminal.wait_for("laptop");

        // It works, and what it does is counted here.
        let gateway = Gateway::start(&home, &server.url, &[]);
        let reply = search(&gateway, &key);
        assert_eq!(reply.status, 200, "{}", reply.text);
        terminal.press("1");
        terminal.wait_until("one call allowed", |screen| counted(&screen.contents(), "allowed") == [1, 1, 1]);
        terminal.wait_for("tools/call/search");
        terminal.press("7");
        terminal.wait_for("› usage");
        terminal.wait_for("1 allowed");
        terminal.press("b");
        terminal.wait_for("By endpoint");
        terminal.wait_for("tools/call/search");

        // Its policy, changed in the editor, holds at the next call.
        terminal.press("6");
        terminal.wait_for("default");
        block(&mut terminal, "tools/call/search_*");
        let reply = search(&gateway, &key);
        assert_eq!(reply.status, 403, "{}", reply.text);
        assert_eq!(reply.message()["error"]["data"]["reason"], "endpoint_denied");
        terminal.press("1");
        terminal.wait_until("one call denied", |screen| counted(&screen.contents(), "denied") == [1, 1, 1]);
        terminal.wait_for("endpoint_denied");

        // Revoking asks; enter alone is harmless.
        terminal.press("2");
        terminal.wait_for("laptop");
        terminal.press("R");
        terminal.wait_for("Revoke key laptop of ada@example.org?");
        terminal.press("enter");
        terminal.wait_until_gone("Revoke key laptop");
        assert_eq!(search(&gateway, &key).status, 403, "still a key");

        // It had traffic, so its name is wanted, and another name will not do.
        terminal.press("R");
        terminal.wait_for("type laptop to go on");
        terminal.press("backtab backtab desktop tab lost tab tab enter");
        terminal.wait_for("that is not its name");
        assert_eq!(search(&gateway, &key).status, 403, "still a key");
        terminal.press(&"backspace ".repeat("desktop".len()));
        terminal.press("laptop tab tab tab enter");
        terminal.wait_for("revoked key laptop");
        let reply = search(&gateway, &key);
        assert_eq!(reply.status, 401, "{}", reply.text);
        terminal.wait_for("✕ revoked");

        leave(terminal);
        gateway.stop();
        let shown = home.json(&["audit", "verify"]);
        assert_eq!(shown["valid"], true, "what was done here stands in a whole chain");
    }
}

/// The counts for the minute, the hour and the day in a row of the overview.
fn counted(contents: &str, word: &str) -> Vec<u64> {
    let row = contents.lines().find(|row| row.contains(&format!(" {word} "))).unwrap_or_default();
    let after = row.split_once(word).map(|(_, rest)| rest).unwrap_or_default();
    after.split_whitespace().map_while(|number| number.parse().ok()).take(3).collect()
}

/// Blocks an endpoint in the policy under the cursor, which is the default one.
fn block(terminal: &mut Terminal, pattern: &str) {
    terminal.press("e");
    terminal.wait_for("policy default r1");
    terminal.wait_for("[ review ]");
    // From the first field backwards over the two buttons to the last field.
    terminal.press("backtab backtab backtab");
    terminal.wait_for("by commas");
    terminal.type_text(pattern);
    terminal.press("ctrl-s");
    terminal.wait_for("what would change");
    terminal.wait_for(&format!("+ [\"{pattern}\"]"));
    terminal.type_text("too noisy");
    terminal.wait_for("too noisy");
    terminal.press("ctrl-s");
    terminal.wait_for("saved policy default as revision 2");
}

#[test]
fn what_another_process_does_appears_by_itself() {
    let home = Home::new();
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("Nothing may call your MCP server yet");
    let issued = home.issue("bob", "mcp:*", &["--name", "batch"]);
    terminal.wait_for("1 active");
    terminal.press("2");
    terminal.wait_for("batch");
    home.json(&["key", "revoke", &issued.id]);
    terminal.wait_for("✕ revoked");
    leave(terminal);
}

#[test]
fn a_window_too_small_says_so_and_recovers() {
    let home = Home::new();
    home.issue("bob", "mcp:*", &["--name", "batch"]);
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("1 active");
    terminal.press("ctrl-l");
    terminal.resize(Size(50, 12));
    terminal.wait_for("60");
    terminal.wait_until_gone("active");
    terminal.resize(Size(130, 40));
    terminal.wait_for("1 active");
    terminal.press("2 enter");
    terminal.wait_for("Last 24 hours");
    leave(terminal);
}

/// What is pressed as the window changes counts, whether the program sees the key or the new size first.
#[test]
fn no_key_is_lost_that_comes_together_with_another_size() {
    let home = Home::new();
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("Nothing may call your MCP server yet");
    for round in 0..20 {
        let size = if round % 2 == 0 { Size(130, 40) } else { Size(50, 12) };
        terminal.resize(size);
        terminal.resize(Size(80, 24));
        terminal.press("7");
        terminal.wait_for("› usage");
        terminal.resize(size);
        terminal.resize(Size(90, 30));
        terminal.press("1");
        terminal.wait_for("› overview");
    }
    leave(terminal);
}

#[test]
fn without_colour_the_selection_is_still_to_be_seen() {
    let home = Home::new();
    home.issue("ada", "mcp:*", &["--name", "first"]);
    home.issue("bob", "mcp:*", &["--name", "second"]);
    let mut terminal = open(&home, Size(80, 24), &[], &[("NO_COLOR", "1")]);
    terminal.press("2");
    terminal.wait_for("second");
    let selected = |screen: &vt100::Screen| {
        let (rows, columns) = screen.size();
        let row_of = |row: u16| {
            (0..columns.get())
                .filter_map(|column| screen.cell(row, column))
                .filter(|cell| cell.inverse())
                .count()
                > 20
        };
        (0..rows.get()).skip(3).filter(|row| row_of(*row)).collect::<Vec<_>>()
    };
    terminal.wait_until("one selected row", |screen| selected(screen).len() == 1);
    let before = selected(terminal.screen());
    terminal.press("j");
    terminal.wait_until("the next row selected", |screen| {
        let now = selected(screen);
        now.len() == 1 && now != before
    });
    let screen = terminal.screen();
    let (rows, columns) = screen.size();
    for row in 0..rows.get() {
        for cell in (0..columns.get()).filter_map(|column| screen.cell(row, column)) {
            let colours = (cell.fgcolor(), cell.bgcolor());
            assert_eq!(colours, (vt100::Color::Default, vt100::Color::Default), "no colour in row {row}");
        }
    }
    leave(terminal);
}

#[test]
fn an_auditor_sees_everything_and_changes_nothing() {
    let home = Home::new();
    home.issue("ada", "mcp:*", &["--name", "first"]);
    let records = home.json(&["audit", "verify"])["records"].clone();
    let mut terminal = open(&home, Size(80, 24), &["--read-only"], &[]);
    terminal.wait_for("READ-ONLY");
    terminal.press("2");
    terminal.wait_for("first");
    for key in ["n", "R", "d", "r"] {
        terminal.press("2");
        terminal.wait_for("› keys");
        terminal.press(key);
        terminal.wait_for("read-only: opened with --read-only");
        // Nothing has opened that would take this key.
        terminal.press("1");
        terminal.wait_for("› overview");
    }
    leave(terminal);
    assert_eq!(home.json(&["audit", "verify"])["records"], records, "no record was written");
    assert_eq!(home.json(&["key", "list"])["items"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_suspended_console_gives_the_terminal_back_and_returns() {
    let home = Home::new();
    home.issue("ada", "mcp:*", &["--name", "first"]);
    // Without readline, which asks the terminal for things of its own.
    let shell = ["--norc", "--noprofile", "--noediting", "-i"];
    let mut terminal = Terminal::start(Size(80, 24), Path::new("/bin/bash"), &shell, &[("PS1", "$ ")]);
    terminal.wait_for("$ ");
    terminal.type_text(&format!("{PORTCULLIS} --home {} console\r", home.path().display()));
    terminal.wait_for("1 active");
    terminal.press("ctrl-z");
    terminal.wait_for("Stopped");
    terminal.assert_restored();
    terminal.type_text("fg\r");
    terminal.wait_until("the console again", |screen| {
        screen.alternate_screen() && screen.contents().contains("1 active")
    });
    terminal.press("2");
    terminal.wait_for("first");
    terminal.press("Q");
    terminal.wait_until("the shell's prompt", |screen| {
        let (row, column) = screen.cursor_position();
        !screen.alternate_screen()
            && column == 2
            && screen.cell(row, 0).is_some_and(|cell| cell.contents() == "$")
    });
    terminal.assert_restored();
    terminal.type_text("echo code-$?; exit\r");
    terminal.wait_for("code-0");
}

#[test]
fn foreign_text_cannot_deceive_the_eye() {
    let home = Home::new();
    let mut terminal = open(&home, Size(120, 30), &[], &[]);
    terminal.wait_for("Nothing may call");
    let deceptive =
        home.run(&["key", "create", "--subject", "ada", "--scope", "mcp:*", "--name", "a\u{202e}b\u{200b}c"]);
    if deceptive.code == 0 {
        terminal.press("2");
        terminal.wait_for("ada");
        let contents = terminal.contents();
        assert!(!contents.contains('\u{202e}') && !contents.contains('\u{200b}'), "{contents}");
    } else {
        assert_eq!(deceptive.code, 2, "refused as bad input: {}", deceptive.errors);
        assert!(!deceptive.errors.contains('\u{202e}'), "nor repeated");
    }
    leave(terminal);
}

#[test]
fn the_policy_shown_is_the_policy_that_holds() {
    let server = DemoServer::start();
    let home = Home::new();
    let issued = home.issue("ada", "mcp:*", &[]);
    let gateway = Gateway::start(&home, &server.url, &[]);
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.press("6");
    terminal.wait_for("default");
    assert_eq!(search(&gateway, &issued.key).status, 200);
    home.apply_policy(&policy(
        "default",
        &json!({"time_restrictions": {"allowed_hours": [], "timezone": "UTC"}}),
    ));
    let reply = search(&gateway, &issued.key);
    assert_eq!(reply.message()["error"]["data"]["reason"], "time_denied");
    terminal.press("1");
    terminal.wait_for("time_denied");
    leave(terminal);
}

/// What terminals send by mistake or in answer to others, and what is left of it where a line breaks.
#[test]
fn no_input_ends_or_hangs_it() {
    let home = Home::new();
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("Nothing may call your MCP server yet");
    for input in [
        "\x1b[<0;5;0M",
        "\x1b[<0;0;0m\x1b[M   ",
        "\x1b[<35;70000;1M",
        "\x1b[0;0R\x1b[?62c\x1b]10;rgb:0/0/0\x1b\\",
        "\x1b[32;0;0M\x1b[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;20;21;22;23;24;25;26;27;28;29;30;31;32;33;34x",
        "\x1b[200~never\x1b[A\x1b[201~",
    ] {
        // what comes together with it counts as well
        terminal.type_text(&format!("{input}7"));
        terminal.wait_for("› usage");
        terminal.type_text("1");
        terminal.wait_for("› overview");
    }
    leave(terminal);
}

/// The theme is the one that reads on the terminal's background, where the terminal says what that is; the answer is nothing
/// that was typed, however late it comes.
#[test]
fn the_theme_goes_by_the_background_and_its_answer_presses_no_key() {
    let home = Home::new();
    home.issue("ada", "mcp:*", &["--name", "first"]);
    let is_light = |screen: &vt100::Screen| {
        // the text of the light theme
        (0..24).filter_map(|row| screen.cell(row, 4)).any(|cell| cell.fgcolor() == vt100::Color::Idx(235))
    };
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("1 active");
    terminal.type_text("\x1b]11;rgb:ffff/ffff/ffff\x1b\\");
    terminal.wait_until("the light theme", is_light);
    terminal.type_text("2\x1b]11;rgb:0000/0000/0000\x072");
    terminal.wait_for("› keys");
    leave(terminal);
}

/// What a row says whose seal is broken.
const BROKEN: &str = "its seal does not fit";

#[test]
fn a_damaged_key_hides_no_other_and_is_removed() {
    let home = Home::new();
    let issued = ["ann", "bob", "cyd"].map(|subject| home.issue(subject, "mcp:*", &["--name", subject]));
    let store = rusqlite::Connection::open(home.path().join("portcullis.db")).expect("a database");
    let sql = "UPDATE api_key SET subject = 'root' WHERE id = ?1";
    assert_eq!(store.execute(sql, [&issued[1].id]).expect("SQL"), 1);
    drop(store);
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.press("2");
    terminal.wait_for("✕ damaged");
    terminal.wait_for(BROKEN);
    terminal.wait_for("1/3");
    assert!(terminal.contents().contains("ann") && terminal.contents().contains("cyd"));
    // It is found, and nothing else is done to it than to remove it.
    terminal.press("/");
    terminal.type_text(&format!("id:{}", issued[1].id));
    terminal.press("enter");
    terminal.wait_for("1/1");
    terminal.press("d");
    terminal.wait_for("this key is damaged");
    terminal.press("enter");
    terminal.wait_for("Whatever rests on it is refused");
    terminal.press("D");
    terminal.wait_for("Remove all keys whose rows are damaged?");
    terminal.press("tab enter");
    terminal.wait_for("removed the damaged keys");
    terminal.press("esc esc");
    terminal.wait_for("1/2");
    leave(terminal);
    assert_eq!(home.json(&["key", "list"])["items"].as_array().expect("keys").len(), 2);
}

#[test]
fn the_cursor_stays_on_its_key_however_many_are_made_elsewhere() {
    let home = Home::new();
    home.issue("ann", "mcp:*", &["--name", "first-of-all"]);
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.press("2");
    terminal.wait_for("1/1");
    let people: String = (0..300).map(|number| format!("person-{number:03}\n")).collect();
    let file = home.file("people.csv", &format!("subject\n{people}"));
    let made = home.run(&["key", "create", "--from", &file, "--scope", "mcp:*"]);
    assert_eq!(made.code, 0, "{}", made.errors);
    terminal.wait_for("301/301");
    terminal.press("c");
    terminal.wait_for("first-of-all");
    terminal.press("esc");
    terminal.wait_until_gone("From the next call on");
    // Many are disabled at once, and none is forgotten.
    terminal.press("/ person enter ctrl-a");
    terminal.wait_for("300 marked");
    terminal.press("d");
    terminal.wait_for("Disable 300 marked keys?");
    terminal.wait_for("and 297 more");
    terminal.press("tab enter");
    terminal.wait_for("disabled 300 marked keys");
    leave(terminal);
    let disabled = home.json(&["key", "list", "--all", "--filter", "state:disabled"]);
    assert_eq!(disabled["items"].as_array().expect("keys").len(), 300);
}

#[test]
fn a_backup_made_in_the_console_is_a_home_again() {
    let home = Home::new();
    let issued = home.issue("ann", "mcp:*", &[]);
    let file = home.file("there-already", "");
    let mut terminal = open(&home, Size(80, 24), &[], &[]);
    terminal.wait_for("1 active");
    terminal.press("B");
    terminal.wait_for("a new one; keep it on another machine");
    terminal.press("ctrl-u");
    terminal.type_text(&file);
    terminal.press("tab");
    terminal.type_text("correct horse");
    terminal.press("tab");
    terminal.type_text("correct horse");
    terminal.press("ctrl-s");
    // What was typed is still there after a refusal.
    terminal.wait_for("overwritten");
    assert!(!terminal.contents().contains("horse"));
    terminal.press("backtab backtab");
    terminal.type_text("-2");
    terminal.press("ctrl-s");
    terminal.wait_for("backed up");
    terminal.wait_for("Put back with");
    terminal.press("esc");
    terminal.wait_until_gone("Put back with");
    leave(terminal);

    let (again, phrase) = (Home::new(), home.file("phrase", "correct horse\n"));
    let restored = again.run(&["restore", &format!("{file}-2"), "--passphrase-file", &phrase]);
    assert_eq!(restored.code, 0, "{}", restored.errors);
    assert_eq!(again.json(&["key", "show", &issued.id])["subject"], "ann");
}
