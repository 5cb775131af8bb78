//! Sums of the ledger as bars.

use std::collections::BTreeMap;

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
