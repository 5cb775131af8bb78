//! Tests of the price lists and of what calls cost by them.

use std::fs;

use super::*;

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn built_in() -> PriceLists {
    PriceLists::built_in().unwrap()
}

/// Equal to a billionth of a dollar.
fn check(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-9, "{found} is not {wanted}");
}

#[test]
fn the_built_in_lists_are_sound() {
    let lists = built_in();
    let ids: Vec<&str> = lists.all().iter().map(|list| list.id.as_str()).collect();
    assert_eq!(ids, ["2023-07-22", "2023-12-01", "2026-11-23"]);
    for list in lists.all() {
        assert!(!list.source.is_empty() && !list.licence.is_empty() && list.date == day(&list.id));
        for (name, price) in &list.models {
            assert!(price.input > 0.0 && !price.provider.is_empty(), "{name}");
            assert!(
                price.cached.is_none_or(|cached| cached <= price.input),
                "{name}"
            );
            assert!(
                price.batch_input.is_none_or(|batch| batch <= price.input),
                "{name}"
            );
            assert!(
                price.batch_output.is_none_or(|batch| batch <= price.output),
                "{name}"
            );
            assert!(
                price
                    .long
                    .is_none_or(|long| long.input >= price.input && long.output >= price.output),
                "{name}"
            );
            assert!(
                price.mode != Mode::Embedding || price.output == 0.0,
                "{name}"
            );
        }
    }
    assert_eq!(lists.latest().models.len(), 233);
}

#[test]
fn a_list_holds_until_the_next() {
    let lists = built_in();
    for (date, id) in [
        ("2020-01-01", "2023-07-22"),
        ("2023-07-22", "2023-07-22"),
        ("2023-11-30", "2023-07-22"),
        ("2023-12-01", "2023-12-01"),
        ("2030-01-01", "2026-11-23"),
    ] {
        assert_eq!(lists.at(day(date)).id, id, "{date}");
    }
    assert_eq!(lists.latest().id, "2026-11-23");
    assert!(lists.list("2023-12-01").is_some() && lists.list("2024").is_none());
}

#[test]
fn names_find_their_price() {
    let lists = built_in();
    let list = lists.latest();
    let mini = list.price("gpt-5-mini").unwrap();
    for name in [
        "GPT-5-Mini",
        "openai/gpt-5-mini",
        "openrouter/openai/gpt-5-mini",
        "gpt-5-mini-2099-01-01",
    ] {
        assert_eq!(list.price(name), Some(mini), "{name}");
    }
    assert_ne!(
        list.price("gpt-4o-2024-05-13"),
        list.price("gpt-4o"),
        "an own row comes first"
    );
    assert_eq!(
        list.price("gemini/gemini-2.5-pro"),
        list.price("google/gemini-2.5-pro")
    );
    assert!(list.price("groq/openai/gpt-oss-20b").is_some());
    assert!(
        list.price("openai/gpt-oss-20b").is_none(),
        "that is also the name of local weights"
    );
    assert!(list.price("Qwen/Qwen3-8B").is_none() && list.price("").is_none());
    assert_eq!(list.nearest("gpt5-mini"), Some("gpt-5-mini"));
    assert_eq!(list.nearest("Qwen/Qwen3-8B"), None);
}

#[test]
fn a_price_is_found_in_another_list() {
    let lists = built_in();
    let found = |model, date| {
        lists
            .find(model, day(date))
            .map(|(list, price)| (list.id.as_str(), price.input))
    };
    assert_eq!(
        found("text-davinci-003", "2026-11-24"),
        Some(("2023-12-01", 2e-5))
    );
    assert_eq!(
        found("text-davinci-003", "2023-08-01"),
        Some(("2023-07-22", 2e-5))
    );
    assert_eq!(found("gpt-4o", "2023-08-01"), Some(("2026-11-23", 2.5e-6)));
    assert_eq!(found("nothing", "2023-08-01"), None);
}

#[test]
fn the_sum_of_a_log_is_exact_to_four_decimals() {
    // What the seed's query computes: sum(prompt) · 0.03 / 1000 + sum(completion) · 0.06 / 1000.
    let lists = built_in();
    let price = lists.at(day("2023-07-22")).price("gpt-4").unwrap();
    let calls: [(u64, u64); 5] = [
        (12_345_678, 1_234_567),
        (330, 54),
        (1, 0),
        (0, 1),
        (1_385_883, 633_387),
    ];
    let sum: f64 = calls
        .iter()
        .map(|&(prompt, completion)| {
            cost(
                price,
                &Usage {
                    prompt,
                    cached: 0,
                    completion,
                },
                false,
            )
        })
        .sum();
    // 13 731 892 · 3 + 1 868 009 · 6 hundred-thousandths of a dollar: a log made up to have the sum of the seed's.
    assert_eq!(format!("{sum:.4}"), "524.0373");
    let whole: f64 = (0..16_754)
        .map(|_| {
            cost(
                price,
                &Usage {
                    prompt: 330,
                    cached: 0,
                    completion: 54,
                },
                false,
            )
        })
        .sum();
    assert_eq!(format!("{whole:.4}"), "220.1476");
}

#[test]
fn cached_tokens_and_batches_cost_less() {
    let lists = built_in();
    let mini = lists.latest().price("gpt-5-mini").unwrap();
    let usage = Usage {
        prompt: 1_000_000,
        cached: 400_000,
        completion: 100_000,
    };
    check(
        cost(
            mini,
            &Usage {
                cached: 0,
                prompt: 200_000,
                ..usage
            },
            false,
        ),
        0.05 + 0.2,
    );
    check(
        cost(
            mini,
            &Usage {
                cached: 0,
                prompt: 200_000,
                ..usage
            },
            true,
        ),
        0.025 + 0.1,
    );
    check(
        cost(mini, &usage, false),
        0.6 * 0.25 + 0.4 * 0.025 + 0.1 * 2.0,
    );
    check(cost(mini, &usage, true), 0.6 * 0.125 + 0.4 * 0.0125 + 0.1);
    check(
        cost(
            mini,
            &Usage {
                prompt: 10,
                cached: 99,
                completion: 0,
            },
            false,
        ),
        10.0 * 2.5e-8,
    );
    check(worst_case(mini, 1000, 500), 0.000_25 + 0.001);
}

#[test]
fn discounts_that_are_not_listed_are_not_given() {
    let lists = built_in();
    // No cached batch price is listed: the better of the two discounts counts.
    let omni = lists.latest().price("gpt-4o").unwrap();
    check(
        cost(
            omni,
            &Usage {
                prompt: 1_000_000,
                cached: 1_000_000,
                completion: 0,
            },
            true,
        ),
        1.25,
    );
    // No batch price is listed at all.
    let old = lists.list("2023-12-01").unwrap().price("gpt-4").unwrap();
    check(
        cost(
            old,
            &Usage {
                prompt: 1000,
                cached: 500,
                completion: 1000,
            },
            true,
        ),
        0.09,
    );
}

#[test]
fn long_prompts_cost_more() {
    let lists = built_in();
    let price = lists.latest().price("gpt-5.4").unwrap();
    check(worst_case(price, 272_000, 1000), 0.68 + 0.015);
    check(worst_case(price, 272_001, 1000), 272_001.0 * 5e-6 + 0.0225);
    check(
        cost(
            price,
            &Usage {
                prompt: 300_000,
                cached: 0,
                completion: 1000,
            },
            true,
        ),
        300_000.0 * 2.5e-6 + 0.01125,
    );
}

#[test]
fn the_user_adds_lists() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        PriceLists::open(&dir.path().join("none")).unwrap(),
        built_in()
    );
    let write = |file: &str, id: &str| {
        let text = format!(
            r#"{{ "id": "{id}", "date": "2026-12-01", "models": {{ "own": {{ "in": 1e-6, "out": 0 }} }} }}"#
        );
        fs::write(dir.path().join(file), text).unwrap();
    };
    write("a.json", "december");
    fs::write(dir.path().join("rates.json"), "{}").unwrap();
    fs::write(dir.path().join("note.txt"), "no list").unwrap();
    let lists = PriceLists::open(dir.path()).unwrap();
    assert_eq!(
        (lists.latest().id.as_str(), lists.all().len()),
        ("december", 4)
    );
    assert_eq!(
        lists.find("gpt-5-mini", day("2027-01-01")).unwrap().0.id,
        "2026-11-23"
    );
    write("b.json", "2026-11-23");
    let lists = PriceLists::open(dir.path()).unwrap();
    assert_eq!(
        (
            lists.all().len(),
            lists.list("2026-11-23").unwrap().models.len()
        ),
        (4, 1)
    );
    write("c.json", "december");
    let message = PriceLists::open(dir.path()).unwrap_err().to_string();
    assert!(
        message.contains("c.json`: field `id` is also that of `") && message.ends_with("a.json`"),
        "{message}"
    );
}
