//! Random walks through grammars: whatever is allowed leads to an answer of the right form.

use serde_json::{Value, json};

use super::{Grammars, MAX_KEPT};
use crate::{Constraint, toy};

fn grammars() -> Grammars {
    Grammars::new(toy::text())
}

/// Takes any allowed token, the end as soon as it may come (after a while); gives the text.
fn walk(grammars: &Grammars, constraint: &Constraint, seed: u64) -> String {
    let text = toy::text();
    let mut guide = grammars.guide(constraint).unwrap();
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut tokens = Vec::new();
    for n in 0.. {
        assert!(n < 20_000, "it does not end: {}", text.decode(&tokens));
        let mask = guide.mask().unwrap();
        let allowed: Vec<u32> = (0..text.n_tokens() as u32)
            .filter(|&token| mask.is_allowed(token))
            .collect();
        assert!(!allowed.is_empty());
        if allowed.contains(&toy::EOS) {
            break;
        }
        // Closing what is open comes first after a while, or a random walk through JSON never ends.
        let closing = |token: &u32| {
            n > 60
                && [b'"', b'}', b']', b'1', b'e']
                    .map(u32::from)
                    .contains(token)
        };
        let token = allowed.iter().copied().find(closing);
        let token = token.unwrap_or_else(|| allowed[rng.usize(..allowed.len())]);
        tokens.push(token);
        if guide.accept(token).unwrap() {
            break;
        }
    }
    text.decode(&tokens)
}

#[test]
fn json_of_a_schema_always_parses_and_keeps_to_it() {
    let grammars = grammars();
    let schema = json!({
        "type": "object",
        "properties": {
            "triples": {"type": "array", "minItems": 1, "maxItems": 4, "items": {
                "type": "object", "additionalProperties": false, "required": ["subject", "relation"],
                "properties": {"subject": {"type": "string", "maxLength": 20}, "relation": {"enum": ["is", "has"]}}}},
        },
        "required": ["triples"], "additionalProperties": false,
    });
    for seed in 0..30 {
        let text = walk(&grammars, &Constraint::JsonSchema(schema.clone()), seed);
        let value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        for triple in value["triples"].as_array().unwrap() {
            assert!(triple["subject"].as_str().unwrap().chars().count() <= 20);
            assert!(["is", "has"].contains(&triple["relation"].as_str().unwrap()));
        }
    }
}

#[test]
fn other_constraints_hold_too() {
    let grammars = grammars();
    for seed in 0..10 {
        let object = walk(&grammars, &Constraint::JsonObject, seed);
        assert!(
            serde_json::from_str::<Value>(&object).unwrap().is_object(),
            "{object}"
        );
        let date = walk(
            &grammars,
            &Constraint::Regex("[0-9]{4}-(0[1-9]|1[0-2])".into()),
            seed,
        );
        assert!(date.len() == 7 && date.as_bytes()[4] == b'-', "{date}");
        let sum = walk(
            &grammars,
            &Constraint::Lark("start: /[0-9]/ (\"+\" /[0-9]/){2}".into()),
            seed,
        );
        assert!(
            sum.len() == 5 && sum.split('+').all(|digit| digit.parse::<u8>().is_ok()),
            "{sum}"
        );
    }
}

#[test]
fn blanks_between_parts_are_bounded() {
    let grammars = grammars();
    let mut guide = grammars.guide(&Constraint::JsonObject).unwrap();
    for byte in *b"{ " {
        guide.accept(u32::from(byte)).unwrap();
    }
    let mask = guide.mask().unwrap();
    assert!(mask.is_allowed(u32::from(b'"')));
    assert!(!mask.is_allowed(u32::from(b' ')) && !mask.is_allowed(u32::from(b'\n')));
}

#[test]
fn bad_constraints_are_refused_with_the_reason() {
    let grammars = grammars();
    let reason = |constraint| grammars.guide(&constraint).map(|_| ()).unwrap_err();
    let unknown = reason(Constraint::JsonSchema(json!({"type": "objekt"})));
    assert!(unknown.contains("objekt"), "{unknown}");
    let missing = reason(Constraint::JsonSchema(json!({"$ref": "#/$defs/none"})));
    assert!(!missing.is_empty() && missing.len() < 3000, "{missing}");
    assert!(!reason(Constraint::Regex("(".into())).is_empty());
    assert!(!reason(Constraint::Lark("start: other".into())).is_empty());
    assert!(!reason(Constraint::JsonSchema(json!(false))).is_empty());
}

#[test]
fn compiled_ones_are_kept_up_to_a_number() {
    let grammars = grammars();
    for place in 0..MAX_KEPT + 5 {
        grammars
            .guide(&Constraint::Regex(format!("a{{{}}}", place + 1)))
            .unwrap();
    }
    let kept = grammars.kept.lock().unwrap();
    assert_eq!(kept.matchers.len(), MAX_KEPT);
    assert!(!kept.matchers.contains_key("regex a{1}"));
}
