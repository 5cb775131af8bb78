//! What the same calls would have cost elsewhere.

use mlk8s_llm::ledger::Summary;
use mlk8s_llm::price::{PriceList, Usage};
use mlk8s_llm::row::Row;

use super::{Cost, ELSEWHERE, count, exact_dollars, sum};
use crate::error::{ErrorKind, MagicError};
use crate::view::{Column, Table};

impl Cost {
    /// What the same calls would have cost by the token, and what one's own machine cost by the hour.
    pub(super) fn elsewhere(
        &self,
        groups: &[Summary],
        sample: &[Row],
        list: &PriceList,
        hours: f64,
        own: f64,
        source: &str,
    ) -> Result<Table, MagicError> {
        let total = sum(groups);
        let spent = total.paid_usd + own;
        let mut rows = vec![
            vec![
                "spent by the token".to_owned(),
                exact_dollars(total.paid_usd),
                String::new(),
            ],
            vec![
                format!("own machine, {hours:.2} busy hours"),
                exact_dollars(own),
                String::new(),
            ],
        ];
        let named = !self.than.is_empty();
        let models: Vec<&str> = if named {
            self.than.iter().map(String::as_str).collect()
        } else {
            ELSEWHERE.to_vec()
        };
        for model in models {
            let Some(there) = self.at(model, &total, sample, list, named)? else {
                continue;
            };
            let saved = there - spent;
            let verdict = if saved >= 0.0 {
                format!("{} saved", exact_dollars(saved))
            } else {
                format!("{} lost", exact_dollars(-saved))
            };
            rows.push(vec![format!("at {model}"), exact_dollars(there), verdict]);
        }
        Ok(Table {
            title: "the same calls elsewhere".to_owned(),
            columns: vec![
                Column::text(""),
                Column::number("cost"),
                Column::number("saved or lost"),
            ],
            rows,
            note: format!(
                "prices of {}; tokens {}; batch calls at batch prices; hours at {source}",
                list.id,
                if self.as_counted {
                    "as the ledger has them".to_owned()
                } else {
                    format!(
                        "counted with each model's own tokenizer, judged by the newest {} calls",
                        sample.len()
                    )
                }
            ),
        })
    }

    /// What the calls would have cost at `model`; `None` when it has no price and nobody has `named` it.
    pub(super) fn at(
        &self,
        model: &str,
        total: &Summary,
        sample: &[Row],
        list: &PriceList,
        named: bool,
    ) -> Result<Option<f64>, MagicError> {
        let Some(price) = list.price(model) else {
            if !named {
                return Ok(None);
            }
            let near = list
                .nearest(model)
                .map(|near| format!("did you mean `{near}`? "));
            let message = format!("`{model}` has no price in the list `{}`", list.id);
            let hint = format!(
                "{}a file in `prices` of the state directory adds prices",
                near.unwrap_or_default()
            );
            return Err(MagicError::new(ErrorKind::NotFound, message).with_hint(hint));
        };
        let (mut prompt, mut completion, batch) = count::ratios(sample, model);
        if self.as_counted {
            (prompt, completion) = (1.0, 1.0);
        }
        let usage = Usage {
            prompt: count::scaled(total.prompt_tokens, prompt),
            cached: 0,
            completion: count::scaled(total.completion_tokens, completion),
        };
        let full = mlk8s_llm::price::cost(price, &usage, false);
        let cheap = mlk8s_llm::price::cost(price, &usage, true);
        Ok(Some(full * (1.0 - batch) + cheap * batch))
    }
}
