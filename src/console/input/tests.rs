//! Bytes that terminals send, in whatever pieces they come, and bytes that none would send.

use crossterm::event::{KeyCode, KeyEventKind, KeyModifiers, MouseEventKind};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use super::decode::{Decoder, MOST_PASTED};
use super::{Event, Input, Shade, Window};

/// An input in a few letters.
fn said(input: &Input) -> String {
    match input {
        Input::Key(key) => {
            let mut said = String::new();
            for (modifier, name) in [
                (KeyModifiers::CONTROL, "ctrl-"),
                (KeyModifiers::ALT, "alt-"),
                (KeyModifiers::SHIFT, "shift-"),
            ] {
                if key.modifiers.contains(modifier) {
                    said.push_str(name);
                }
            }
            let code = match key.code {
                KeyCode::Char(' ') => "space".into(),
                KeyCode::Char(letter) => letter.to_string(),
                other => format!("{other:?}").to_lowercase(),
            };
            let kind = if key.kind == KeyEventKind::Press { "" } else { "…" };
            said + &code + kind
        }
        Input::Mouse(mouse) => {
            let kind = match mouse.kind {
                MouseEventKind::Down(_) => "down",
                MouseEventKind::Up(_) => "up",
                MouseEventKind::ScrollUp => "wheel-up",
                MouseEventKind::ScrollDown => "wheel-down",
                _ => "moved",
            };
            format!("{kind}@{},{}", mouse.column, mouse.row)
        }
        Input::Paste(text) => format!("paste({text})"),
        Input::Background(shade) => format!("{shade:?}").to_lowercase(),
    }
}

fn all(inputs: &[Input]) -> String {
    inputs.iter().map(said).collect::<Vec<_>>().join(" ")
}

/// What these bytes are when they come at once and nothing follows.
fn read(bytes: &[u8]) -> String {
    let mut decoder = Decoder::default();
    let mut inputs = decoder.feed(bytes);
    if decoder.patience().is_some() {
        inputs.extend(decoder.give_up());
    }
    assert_eq!(decoder.patience(), None, "{bytes:?} is over");
    all(&inputs)
}

/// What terminals send, and what it is.
const SENT: &[(&str, &str)] = &[
    ("aQ é€🙂", "a shift-Q space é € 🙂"),
    ("\r\t\x7f\0\x01\x1a\x1c\x1f", "enter tab backspace ctrl-space ctrl-a ctrl-z ctrl-\\ ctrl-_"),
    ("\x1b[A\x1b[B\x1b[C\x1b[D\x1b[H\x1b[F", "up down right left home end"),
    ("\x1bOA\x1bOP\x1bOS\x1bOM\x1bOq", "up f(1) f(4) enter 1"),
    ("\x1b[Z\x1b[Zdesktop", "shift-backtab shift-backtab d e s k t o p"),
    ("\x1b[1~\x1b[3~\x1b[5~\x1b[6~\x1b[15~\x1b[24~", "home delete pageup pagedown f(5) f(12)"),
    ("\x1b[[A\x1b[[Ex", "f(1) f(5) x"),
    ("\x1b[1;5C\x1b[1;2A\x1b[3;3~", "ctrl-right shift-up alt-delete"),
    ("\x1b[97;5u\x1b[27;5;105~\x1b[97;1:3u", "ctrl-a ctrl-i a…"),
    ("\x1bx\x1bé\x1b\rq", "alt-x alt-é alt-enter q"),
    ("\x1b[<0;5;7M\x1b[<0;5;7m\x1b[<64;1;1M\x1b[<65;1;1M", "down@4,6 up@4,6 wheel-up@0,0 wheel-down@0,0"),
    ("\x1b[M !!\x1b[M`*+q", "down@0,0 wheel-up@9,10 q"),
    ("\x1b[32;3;4Mq", "down@2,3 q"),
    // 0 where counting begins at 1
    ("\x1b[<0;5;0M\x1b[<0;0;5Mq", "down@4,0 down@0,4 q"),
    ("\x1b[M \x20\x20\x1b[32;0;0M\x1b[0;0Rq", "down@0,0 down@0,0 q"),
    ("\x1b[<0;65535;65535Mq", "down@65534,65534 q"),
    ("\x1b[<0;99999999;1Mq", "down@65534,0 q"),
    ("\x1b[200~one\ntwo\x1b[A\x1b[201~q", "paste(one\ntwo\x1b[A) q"),
    ("\x1b[200~\x1b[201\x1b[201~q", "paste(\x1b[201) q"),
    // answers, to us and to others
    ("\x1b]11;rgb:1e1e/1e1e/1e1e\x1b\\q", "dark q"),
    ("\x1b]11;rgb:ffff/ffff/e0e0\x07q", "light q"),
    ("\x1b]11;nonsense\x07\x1b]10;rgb:0/0/0\x1b\\q", "q"),
    ("\x1b[?62;4c\x1b[>0;276;0c\x1b[24;80R\x1b[I\x1b[Oq", "q"),
    ("\x1bP>|xterm(370)\x1b\\\x1b_Gi=1;OK\x1b\\q", "q"),
    // what is no sequence of anybody's
    ("\x1b[1;2;3;4;5xq", "q"),
    ("\x1b[<1;2q\x1b[12;34Mq", "q"),
];

#[test]
fn what_terminals_send_is_what_was_pressed() {
    for (sent, meant) in SENT {
        // the last of them waits for three bytes of a mouse
        assert_eq!(read(sent.as_bytes()), *meant, "{sent:?}");
    }
}

#[test]
fn it_is_the_same_in_whatever_pieces_it_comes() {
    for (sent, meant) in SENT {
        for cut in 0..=sent.len() {
            let mut decoder = Decoder::default();
            let mut inputs = decoder.feed(&sent.as_bytes()[..cut]);
            inputs.extend(decoder.feed(&sent.as_bytes()[cut..]));
            inputs.extend(decoder.give_up());
            assert_eq!(all(&inputs), *meant, "{sent:?} cut at {cut}");
        }
    }
}

#[test]
fn what_begins_as_a_sequence_and_goes_no_further_is_what_was_typed() {
    for (sent, meant) in [
        ("\x1b", "esc"),
        ("\x1b\x1b", "esc esc"),
        ("\x1b[", "alt-["),
        ("\x1b]", "alt-]"),
        ("\x1bO", "alt-O"),
        ("\x1b[\x1b[", "alt-[ alt-["),
        ("\x1bOz", "alt-O z"),
        ("\x1b\x1b[A", "esc up"),
        // half of an answer is nothing that anybody typed
        ("\x1b]11;rgb:1e1e", ""),
        ("\x1b[<0;5", ""),
        ("\x1b[M ", ""),
        // and half of a paste is what there is of it
        ("\x1b[200~half", "paste(half)"),
    ] {
        assert_eq!(read(sent.as_bytes()), meant, "{sent:?}");
    }
}

#[test]
fn a_byte_that_is_no_text_takes_no_key_with_it() {
    // é as an old terminal writes it, alone and before other keys
    for (sent, kept) in [
        (&b"\xe9q"[..], "q"),
        (b"\xe9\x1b[A", "up"),
        (b"\xc3\x1bOA", "up"),
        (b"\xf0\x9fq", "q"),
        (b"\xff\xfe\x80q", "q"),
        (b"q\xe2", "q"),
    ] {
        let keys = read(sent);
        assert!(keys.split(' ').next_back() == Some(kept), "{sent:?}: {keys}");
    }
}

#[test]
fn a_paste_is_kept_up_to_a_bound_and_ends_where_it_ends() {
    let long = "x".repeat(MOST_PASTED + 1_000_000);
    let mut decoder = Decoder::default();
    let inputs = decoder.feed(format!("\x1b[200~{long}\x1b[201~q").as_bytes());
    let [Input::Paste(text), Input::Key(_)] = &inputs[..] else { panic!("{}", inputs.len()) };
    assert_eq!(text.len(), MOST_PASTED);
}

/// Pieces of which a walk is made: whole sequences, halves of them, single bytes.
fn step(random: &mut TestRng) -> Vec<u8> {
    let number = random.next_u32();
    let some = |random: &mut TestRng, most: u32| random.next_u32() % most;
    match number % 12 {
        0..=3 => vec![b' ' + (number >> 8) as u8 % 95],
        4 => vec![(number >> 8) as u8],
        5 => SENT[(number >> 8) as usize % SENT.len()].0.as_bytes().to_vec(),
        6 => {
            let whole = SENT[(number >> 8) as usize % SENT.len()].0.as_bytes();
            whole[..some(random, whole.len() as u32 + 1) as usize].to_vec()
        }
        7 => {
            let end = if number & 0x100 == 0 { 'M' } else { 'm' };
            let (button, column, row) = (some(random, 300), some(random, 70_000), some(random, 300));
            format!("\x1b[<{button};{column};{row}{end}").into_bytes()
        }
        8 => format!("\x1b[200~{}\x1b[201~", "é\x1b[201".repeat(some(random, 40) as usize)).into_bytes(),
        9 => [&b"\x1b["[..], &random.next_u64().to_le_bytes()].concat(),
        10 => [&b"\x1b]"[..], &random.next_u64().to_le_bytes()].concat(),
        _ => {
            let numbers: Vec<String> =
                (0..some(random, 40)).map(|_| some(random, 70_000).to_string()).collect();
            format!("\x1b[{}{}", numbers.join(";"), char::from(b'@' + some(random, 63) as u8)).into_bytes()
        }
    }
}

/// Whatever comes in between: a key that is pressed after a pause is that key.
#[test]
fn twenty_thousand_pieces_of_anything_end_nothing_and_hide_no_key() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut decoder = Decoder::default();
    let (mut heard, mut pressed) = (0, 0);
    for place in 0..20_000 {
        heard += decoder.feed(&step(&mut random)).len();
        if place % 7 == 0 {
            heard += decoder.give_up().len();
            assert_eq!(decoder.patience(), None);
            assert_eq!(all(&decoder.feed(b"q")), "q", "at {place}");
            pressed += 1;
        }
    }
    assert!(heard > 10_000 && pressed > 2_000, "{heard}");
}

#[test]
fn a_new_size_is_told_once_and_before_the_keys_that_overtook_it() {
    let mut window = Window((50, 12));
    let told = |event: Option<Event>| match event {
        Some(Event::Resize { width, height }) => format!("{width}×{height}"),
        other => format!("{other:?}"),
    };
    assert_eq!(told(window.is_now((50, 12))), "None");
    assert_eq!(told(window.is_now((130, 40))), "130×40");
    assert_eq!(told(window.is_now((130, 40))), "None");
    assert_eq!(told(window.is_now((50, 12))), "50×12");
}

#[test]
fn answers_say_what_the_background_is() {
    for (answer, shade) in [
        ("rgb:0000/0000/0000", Some(Shade::Dark)),
        ("rgb:00/2b/36", Some(Shade::Dark)),
        ("rgb:fd/f6/e3", Some(Shade::Light)),
        ("rgba:ffff/ffff/ffff/0000", Some(Shade::Light)),
        ("#ffffff", Some(Shade::Light)),
        ("rgb:ffff/ffff", None),
        ("rgb:fffff/0/0", None),
        ("rgb:zz/00/00", None),
        ("", None),
    ] {
        assert_eq!(Shade::of_answer(answer), shade, "{answer}");
    }
    for (variable, shade) in [
        ("15;0", Some(Shade::Dark)),
        ("0;15", Some(Shade::Light)),
        ("0;default;15", Some(Shade::Light)),
        ("12;8", Some(Shade::Dark)),
        ("0;7", Some(Shade::Light)),
        ("0;default", None),
        ("15;99", None),
        ("", None),
    ] {
        assert_eq!(Shade::of_variable(variable), shade, "{variable}");
    }
}
