//! Sums of the ledger as bars.

use std::collections::BTreeMap;

use mlk8s_llm::allocation::{Allocation, Allocations};
use mlk8s_llm::ledger::Summary;
use serde_json::{Value, json};

use super::{By, ROWS};

/// What was spent, by `by`; where nothing is paid by the token, the tokens, which tell more there.
pub(super) fn chart(groups: &[Summary], by: By) -> Value {
    let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
    let mut tokens: BTreeMap<&str, i64> = BTreeMap::new();
    for group in groups.iter().take(ROWS) {
        *spent.entry(&group.key).or_default() += group.paid_usd;
        *tokens.entry(&group.key).or_default() += group.prompt_tokens + group.completion_tokens;
    }
    // Where nothing is paid by the token, the tokens tell more.
    let paid = spent.values().any(|usd| *usd > 0.0);
    let (title, values): (&str, Vec<Value>) = if paid {
        (
            "spent, in US dollars",
            spent.values().map(|usd| json!(usd)).collect(),
        )
    } else {
        ("tokens", tokens.values().map(|n| json!(n)).collect())
    };
    json!({
        "data": [{ "type": "bar", "name": title, "x": spent.keys().collect::<Vec<_>>(), "y": values }],
        "layout": {
            "title": { "text": title }, "xaxis": { "title": { "text": by.heading() }, "type": "category" },
            "yaxis": { "title": { "text": title }, "rangemode": "tozero" },
        },
    })
}

/// Prompts against the machines that answer them: by the token, one's own busy hours, a hosted API, the whole cluster.
pub(super) fn compared(paid: f64, own: f64, there: Option<f64>, cluster: f64) -> Value {
    let mut bars = vec![
        ("by the token".to_owned(), paid),
        ("own busy hours".to_owned(), own),
    ];
    bars.extend(there.map(|usd| (format!("all at {}", super::COMPARED), usd)));
    bars.push(("the whole cluster".to_owned(), cluster));
    let (names, sums): (Vec<String>, Vec<f64>) = bars.into_iter().unzip();
    json!({
        "data": [{ "type": "bar", "name": "US dollars", "x": names, "y": sums }],
        "layout": {
            "title": { "text": "prompts and cluster, in US dollars" }, "xaxis": { "type": "category" },
            "yaxis": { "title": { "text": "US dollars" }, "rangemode": "tozero" },
        },
    })
}

/// Costs of a cluster day by day, one bar on the other.
pub(super) fn days(costs: &Allocations, shown: &[String]) -> Value {
    let days: Vec<&str> = costs
        .steps
        .iter()
        .map(|(begin, _)| begin.get(..10).unwrap_or(begin))
        .collect();
    let bars: Vec<Value> = shown
        .iter()
        .map(|name| {
            let sums: Vec<f64> = costs
                .steps
                .iter()
                .map(|(_, all)| {
                    all.iter()
                        .filter(|one| one.name == *name)
                        .map(Allocation::total)
                        .sum()
                })
                .collect();
            json!({ "type": "bar", "name": name, "x": days, "y": sums })
        })
        .collect();
    json!({
        "data": bars,
        "layout": {
            "title": { "text": "the cluster, in US dollars a day" }, "barmode": "stack",
            "xaxis": { "type": "category" }, "yaxis": { "rangemode": "tozero" },
        },
    })
}
