//! More than a limit allows: by what is free, by batches, by tokens got for a key, by what may be used once, and at the
//! price of others.

use serde_json::{Value, json};

use crate::support::{Scene, call, has_passed, notification, request};

/// How often an attacker tries.
const TRIES: usize = 30;

#[test]
fn where_nothing_may_pass_nothing_that_is_free_does() {
    let scene = Scene::new();
    let (nobody, somebody) = (scene.key("nobody", 0), scene.key("somebody", 1));
    let free =
        [notification("notifications/initialized"), notification("notifications/x"), request(1, "ping")];
    for message in &free {
        assert_eq!(scene.passed(&nobody, message, TRIES), 0, "{message}");
    }
    assert_eq!(scene.passed(&nobody, &json!(free), TRIES), 0, "nor together");
    assert_eq!(scene.upstream.came(), 0);
    for message in &free {
        assert_eq!(scene.passed(&somebody, message, 5), 5, "{message}");
    }
    assert_eq!(scene.passed(&somebody, &call(), 2), 1, "and they cost nothing");
}

#[test]
fn what_is_free_does_not_pass_without_end() {
    let scene = Scene::new();
    let (flooding, honest) = (scene.key("flooding", 2), scene.key("honest", 2));
    // The minute may end meanwhile, once: a test is over within a minute.
    let passed = scene.passed(&flooding, &notification("notifications/progress"), 200);
    assert!((60..=120).contains(&passed), "{passed}");
    assert_eq!(scene.upstream.came(), passed);
    assert_eq!(
        scene.passed(&honest, &notification("notifications/progress"), 5),
        5,
        "others do not pay for it"
    );
    assert_eq!(scene.passed(&flooding, &call(), 3), 2, "nor do its own calls");
}

#[test]
fn a_batch_is_no_way_past_a_limit() {
    let scene = Scene::new();
    let key = scene.key("insider", 5);
    let batch = |count: u32| Value::from_iter((0..count).map(|id| request(id, "tools/list")));
    assert_eq!(scene.passed(&key, &batch(6), TRIES), 0);
    assert_eq!(scene.passed(&key, &batch(256), 3), 0);
    assert_eq!(scene.upstream.came(), 0);
    let refused = scene.send(&key, &batch(6));
    let errors: Vec<Value> = serde_json::from_str(&refused.text).expect("an array");
    assert_eq!((refused.status, errors.len()), (200, 6), "each request is answered, and no session ends");
    assert!(errors.iter().all(|error| error["error"]["data"]["reason"] == "rate_limited"), "{errors:?}");
    assert_eq!(scene.passed(&key, &batch(3), 2), 1);
    assert_eq!(scene.passed(&key, &batch(2), 2), 1, "nothing was charged for those that did not fit");
    assert_eq!(scene.passed(&key, &call(), 1), 0);
    assert_eq!(scene.upstream.came(), 5);
}

#[test]
fn tokens_got_for_a_key_spend_what_the_key_may() {
    let scene = Scene::new();
    let (insider, other) = (scene.key("insider", 10), scene.key("other", 10));
    let got = [("grant_type", "client_credentials"), ("scope", "mcp:*")];
    let tokens: Vec<String> = (0..4)
        .map(|_| {
            let answer: Value =
                serde_json::from_str(&scene.form("/oauth/token", &insider, &got).text).expect("JSON");
            answer["access_token"].as_str().expect("a token").to_owned()
        })
        .collect();
    let passed: usize = tokens.iter().map(|token| scene.passed(token, &call(), TRIES)).sum();
    assert_eq!(passed + scene.passed(&insider, &call(), TRIES), 6, "of ten, four were the grants");
    assert_eq!(scene.form("/oauth/token", &insider, &got).status, 429);
    assert_eq!(scene.upstream.came(), 6);
    assert_eq!(scene.passed(&other, &call(), TRIES), 10);
}

#[test]
fn a_replay_of_recorded_calls_knows_the_same_account() {
    let scene = Scene::new();
    let insider = scene.key("insider", 10);
    let got = [("grant_type", "client_credentials"), ("scope", "mcp:*")];
    let answer: Value = serde_json::from_str(&scene.form("/oauth/token", &insider, &got).text).expect("JSON");
    let token = answer["access_token"].as_str().expect("a token").to_owned();
    assert_eq!((scene.passed(&insider, &call(), 3), scene.passed(&token, &call(), 3)), (3, 3));
    let Scene { home, gateway, .. } = scene;
    gateway.stop();
    // The newest revision allows less than was done: one grant and six calls.
    let limits = json!({"requests_per_minute": null, "requests_per_hour": null, "requests_per_day": 5});
    home.apply_policy(&crate::support::home::policy("insider", &json!({ "rate_limits": limits })));
    let ended = home.run(&["--json", "policy", "simulate", "--policy", "insider", "--since", "1h"]);
    let allowed = ended.output.lines().filter(|line| line.contains(r#""allowed":true"#)).count();
    assert_eq!((ended.output.lines().count(), allowed), (7, 5), "{}{}", ended.output, ended.errors);
}

#[test]
fn who_has_no_quota_leaves_nothing_behind() {
    let scene = Scene::new();
    scene.limit("insider", 2);
    let tokens: Vec<String> = (0..12).map(|_| scene.token("insider", &["--once"])).collect();
    let passed: usize = tokens.iter().map(|token| scene.passed(token, &call(), 1)).sum();
    assert_eq!((passed, scene.rows("one_time"), scene.upstream.came()), (2, 2, 2));
    scene.limit("insider", 3);
    let passed: usize = tokens.iter().map(|token| scene.passed(token, &call(), 1)).sum();
    assert_eq!((passed, scene.rows("one_time")), (1, 3), "what was refused is not used up, what passed is");
}

#[test]
fn who_repeats_a_call_or_forges_one_spends_nobodys_quota() {
    let scene = Scene::new();
    scene.limit("victim", 2);
    let (first, second) = (scene.token("victim", &["--once"]), scene.token("victim", &[]));
    assert_eq!(scene.passed(&first, &call(), 1), 1);
    let (head, last) = second.split_at(second.len() - 20);
    let forged = format!("{head}{}", last.chars().rev().collect::<String>());
    for credential in [first.as_str(), forged.as_str(), "pcl_live_nothing", "a.b.c"] {
        for message in
            [call(), notification("notifications/x"), json!([request(1, "ping"), request(2, "tools/list")])]
        {
            assert_eq!(scene.passed(credential, &message, TRIES), 0);
        }
    }
    assert_eq!((scene.upstream.came(), scene.rows("one_time")), (1, 1));
    let accounts = scene.rows("quota");
    assert!(has_passed(&scene.send(&second, &call())), "what the victim has left");
    assert_eq!((scene.passed(&second, &call(), 1), scene.rows("quota")), (0, accounts));
}
