//! What a build by a model will take: calls, tokens, cost, before any of it.

use super::super::super::ask::dollars;
use super::super::super::cost::texts;
use super::{MANY, Work};
use crate::call::Call;
use crate::error::{ErrorKind, MagicError};
use crate::view::View;

/// Tokens of an answer for each token of text, before anything is known.
const ANSWER_SHARE: f64 = 1.0;

impl Work<'_> {
    /// Says what the work will take, and asks whether to go on where that costs something.
    pub(super) fn preview(&self, call: &mut Call) -> Result<(), MagicError> {
        let client = call.session.models.client()?;
        let mut open = 0;
        let (mut prompt, mut text_tokens) = (0_u64, 0_u64);
        for task in self.tasks.borrow().iter() {
            if call.cancel.is_raised() {
                return Err(MagicError::new(ErrorKind::Interrupted, "nothing was sent"));
            }
            let question = self.question(task);
            if client.has_answer(&question) {
                continue;
            }
            open += 1;
            let passage = &self.waiting[task.document].passages[task.passage].text;
            prompt += mlk8s_llm::count::messages(&question.model, &question.texts()).0 as u64;
            text_tokens += mlk8s_llm::count::tokens(&question.model, passage).0 as u64;
        }
        let share = self.answer_share(call)?;
        let guess = if share.is_none() {
            " (a first guess: this model has read nothing yet)"
        } else {
            ""
        };
        let usage = mlk8s_llm::price::Usage {
            prompt,
            cached: 0,
            completion: (text_tokens as f64 * share.unwrap_or(ANSWER_SHARE)) as u64,
        };
        let today = chrono::Local::now().date_naive();
        let price = client.prices().find(&self.pattern.model, today);
        let price = price.filter(|_| !self.pattern.endpoint.local);
        let usd = price.map(|(_, price)| mlk8s_llm::price::cost(price, &usage, false));
        let cost = match usd {
            Some(usd) => format!("about {}", dollars(usd)),
            None if self.pattern.endpoint.local => "paid by the hour".to_owned(),
            None => "price unknown".to_owned(),
        };
        let known = self.n_passages - open;
        let kept = if known > 0 {
            format!(", {known} answers are here already")
        } else {
            String::new()
        };
        let words = format!(
            "{} documents, {open} calls of {}@{}{kept}: {prompt} tokens of questions, about {} of answers, {cost}{guess}",
            self.waiting.len(),
            self.pattern.model,
            self.pattern.endpoint.name,
            usage.completion
        );
        call.progress.live(&View::Text(words.clone()));
        let costs = usd.is_none_or(|usd| usd > 0.0) && !self.pattern.endpoint.local;
        if costs
            && open >= MANY
            && !self.build.yes
            && (call.confirm)(&format!("{words}. Go on?")) == Some(false)
        {
            return Err(MagicError::new(ErrorKind::Interrupted, "nothing was sent")
                .with_hint("`--yes` goes on without asking"));
        }
        Ok(())
    }

    /// Tokens of an answer for each token of a passage, from what this model has answered before.
    fn answer_share(&self, call: &mut Call) -> Result<Option<f64>, MagicError> {
        let client = call.session.models.client()?;
        let filter = mlk8s_llm::ledger::Filter {
            model: Some(self.pattern.model.clone()),
            limit: Some(200),
            newest_first: true,
            ..mlk8s_llm::ledger::Filter::default()
        };
        let rows = client.ledger(move |ledger| ledger.rows(&filter))?;
        let (mut text, mut answer) = (0.0, 0.0);
        for row in rows
            .iter()
            .filter(|row| row.run.starts_with("kg ") && row.completion_tokens > 0)
        {
            let (said, _) = texts(row);
            let Some((_, question)) = said.last() else {
                continue;
            };
            let passage = question.split("Text:\n").last().unwrap_or_default();
            text += mlk8s_llm::count::tokens(&row.model, passage).0 as f64;
            answer += row.completion_tokens as f64;
        }
        Ok((text > 0.0).then(|| answer / text))
    }
}
