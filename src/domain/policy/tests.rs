mod documents;
mod fields;
mod rules;

use super::*;

fn named(name: &str) -> Policy {
    Policy::new(name.parse().unwrap())
}
