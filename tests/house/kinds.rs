//! No match on kinds of credentials has an arm for all the others: a new kind would fall into it unseen.

use portcullis::domain::credential::Kind;
use proc_macro2::{Delimiter, TokenTree};

use super::{punct, separated, sources, tokens};

#[test]
fn every_match_on_kinds_of_credentials_names_them_all() {
    let faults: Vec<String> = sources()
        .iter()
        .filter(|(path, _)| !path.iter().any(|part| part == "tests" || part == "tests.rs"))
        .flat_map(|(path, text)| {
            let open = matches_left_open(&tokens(text)).into_iter();
            open.map(move |line| format!("src/{}:{line}: this arm takes in kinds to come", path.display()))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The lines of the arms that stand for every other kind.
fn matches_left_open(tokens: &[TokenTree]) -> Vec<usize> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            found.extend(matches_left_open(&group.stream().into_iter().collect::<Vec<_>>()));
        }
        if matches!(token, TokenTree::Ident(word) if word == "match") {
            let body = tokens[at..].iter().find_map(|token| match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(group.stream()),
                _ => None,
            });
            let body: Vec<TokenTree> = body.into_iter().flatten().collect();
            let patterns = patterns(&body);
            if patterns.iter().any(|pattern| names_a_kind(pattern)) {
                found.extend(patterns.iter().filter_map(|pattern| takes_all(pattern)));
            }
        }
    }
    found
}

/// What stands before each `=>` of a match.
fn patterns(body: &[TokenTree]) -> Vec<&[TokenTree]> {
    let (mut found, mut begin, mut at) = (Vec::new(), 0, 0);
    while at < body.len() {
        if punct(body, at) != Some('=') || punct(body, at + 1) != Some('>') {
            at += 1;
            continue;
        }
        // What the arm before it does may hold a comma.
        let after = body[begin..at].iter().rposition(is_comma).map_or(begin, |last| begin + last + 1);
        found.push(&body[after..at]);
        at += 2;
        let is_block =
            matches!(body.get(at), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace);
        at = match body[at..].iter().position(is_comma) {
            _ if is_block => at + 1,
            Some(length) => at + length + 1,
            None => body.len(),
        };
        if punct(body, at) == Some(',') {
            at += 1;
        }
        begin = at;
    }
    found
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}

/// Whether a variant stands there that is called like a kind.
fn names_a_kind(pattern: &[TokenTree]) -> bool {
    let is_kind = |word: &str| Kind::ALL.iter().any(|kind| format!("{kind:?}") == word);
    let is_pattern = |token: &&TokenTree| !matches!(token, TokenTree::Ident(word) if word == "if");
    pattern.iter().take_while(is_pattern).enumerate().any(|(at, token)| match token {
        TokenTree::Ident(word) => at >= 2 && separated(pattern, at - 2) && is_kind(&word.to_string()),
        TokenTree::Group(group) => names_a_kind(&group.stream().into_iter().collect::<Vec<_>>()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The line of a pattern that is `_`, or a name for whatever comes, without a condition.
fn takes_all(pattern: &[TokenTree]) -> Option<usize> {
    let [TokenTree::Ident(word)] = pattern else { return None };
    let is_name = word.to_string().starts_with(|first: char| first == '_' || first.is_lowercase());
    is_name.then(|| word.span().start().line)
}

#[test]
fn an_arm_for_all_other_kinds_is_found() {
    let found = |text: &str| matches_left_open(&tokens(text));
    for open in [
        "match x { Kind::Token => 1, _ => 2 }",
        "match x { Some(Presented::ApiKey(key)) => { f(key) } other => g(other) }",
        "fn f() { g(match x { CredentialId::Token(_) => a::<B, C>(), CredentialId::ApiKey(_) if y => 2, _ => 3 }) }",
        "match x { Ok(1) => match y { (_, Proof::Token(_)) => {}, _ => {} }, _ => {} }",
    ] {
        assert_eq!(found(open), [1], "{open}");
    }
    for closed in [
        "match x { Kind::Token => 1, Kind::ApiKey => 2 }",
        "match x { (Kind::Token, _) => match y { Some(1) => 1, _ => 2 }, (Kind::ApiKey, _) => 2 }",
        "match x { _ if y => 0, Kind::Token => 1, Kind::ApiKey => 2 }",
        "match x { One if y == Kind::Token => 1, _ => 2 }",
        "match x { Other::One => Kind::Token, Token => 1, _ => Kind::ApiKey }",
    ] {
        assert_eq!(found(closed), [0; 0], "{closed}");
    }
}
