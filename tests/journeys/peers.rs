//! The harness by itself, without Portcullis: what fails here is no fault of the binary.

use std::path::Path;

use serde_json::json;

use crate::support::{
    client::Client,
    python::{Generation, peers_are_here},
    terminal::{Size, Terminal},
    upstream::Upstream,
};

/// The SDK's own client against the SDK's own server, streaming included: the yardstick for the same through the gateway.
#[test]
fn the_official_client_and_server_get_along_without_a_gateway() {
    if !peers_are_here() {
        return;
    }
    let mut upstream = Upstream::start(Generation::New);
    for generation in Generation::BOTH {
        let mut client = Client::connect(generation, &upstream.url, "not-judged-by-this-server");
        let run = format!("{generation:?}");
        let counted = client.ask(&json!({
            "do": "stream", "tool": "count", "arguments": {"run": run, "upto": 3}, "acknowledge": "acknowledge",
        }));
        assert_eq!(counted.result()["order"], json!([1, 2, 3, "result"]));
        client.end();
        let received = upstream.received();
        assert!(
            received
                .iter()
                .all(|request| request.all("authorization") == ["Bearer not-judged-by-this-server"])
        );
        assert!(received.iter().any(|request| request.body.contains("\"count\"")));
    }
}

#[test]
fn a_terminal_shows_what_a_program_draws_and_types_what_it_is_told() {
    let script = r#"printf '\033[?1049h\033[?25l\033[7mchosen\033[m'; read -r word; stty size; echo "got $word"; stty -icanon -echo; printf '\033[5;7H\033[6n'; dd bs=1 count=6 2>/dev/null | tail -c 4; stty sane; read -r _; printf '\033[?25h\033[?1049l'; exit 3"#;
    let mut terminal = Terminal::start(Size(80, 24), Path::new("/bin/sh"), &["-c", script], &[]);
    terminal.wait_for("chosen");
    assert!(terminal.screen().alternate_screen() && terminal.screen().hide_cursor());
    assert!(terminal.screen().cell(0, 0).is_some_and(vt100::Cell::inverse));
    terminal.resize(Size(100, 30));
    terminal.press("hello enter");
    terminal.wait_for("30 100");
    terminal.wait_for("got hello");
    terminal.wait_for("5;7R");
    terminal.press("enter");
    assert_eq!(terminal.wait_for_end().exit_code(), 3);
    assert!(!terminal.screen().alternate_screen() && !terminal.screen().hide_cursor());
}
