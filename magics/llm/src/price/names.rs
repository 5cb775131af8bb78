//! The spellings under which a model may be listed, and the listed name nearest to a mistaken one.

/// Providers and gateways that sell other providers' models at those providers' prices.
const RESELLERS: [&str; 3] = ["azure", "google", "openrouter"];

/// How dates look behind a name; `9` stands for any digit.
const DATES: [&str; 4] = ["-9999-99-99", "-99999999", "@99999999", "-9999"];

/// The names to look a model up by, in this order.
pub(super) fn spellings(model: &str, is_provider: impl Fn(&str) -> bool) -> Vec<String> {
    let name = model.trim().to_lowercase();
    let mut names = vec![tuned_base(&name)];
    while let Some((head, tail)) = names[names.len() - 1].split_once('/') {
        if !is_provider(head) && !RESELLERS.contains(&head) {
            break;
        }
        names.push(tuned_base(tail));
    }
    let undated: Vec<String> = names
        .iter()
        .filter_map(|name| undated(name))
        .map(str::to_owned)
        .collect();
    names.extend(undated);
    names
}

/// A fine-tuned model's `ft:base:organisation:…` cut to `ft:base`, which has a price; any other name as it is.
fn tuned_base(name: &str) -> String {
    match name
        .strip_prefix("ft:")
        .and_then(|rest| rest.split_once(':'))
    {
        Some((base, _)) => format!("ft:{base}"),
        None => name.to_owned(),
    }
}

/// A name without the date at its end, if it has one.
fn undated(name: &str) -> Option<&str> {
    DATES.iter().find_map(|date| {
        let (base, end) = name.split_at_checked(name.len().checked_sub(date.len())?)?;
        let fits = |(found, wanted): (u8, u8)| {
            if wanted == b'9' {
                found.is_ascii_digit()
            } else {
                found == wanted
            }
        };
        (!base.is_empty() && end.bytes().zip(date.bytes()).all(fits)).then_some(base)
    })
}

/// The candidate that needs the fewest edits to become the name, the first of equals; none when it would take more
/// than every third letter.
pub(super) fn nearest<'a>(
    model: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = model.trim().to_lowercase();
    let most = name.chars().count() / 3;
    candidates
        .map(|candidate| (strsim::levenshtein(&name, candidate), candidate))
        .filter(|&(edits, _)| edits <= most)
        .min_by_key(|&(edits, _)| edits)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(model: &str) -> String {
        spellings(model, |name| matches!(name, "openai" | "gemini")).join(" ")
    }

    #[test]
    fn spellings_go_from_exact_to_loose() {
        assert_eq!(names("GPT-4o"), "gpt-4o");
        assert_eq!(names("gpt-4o-2024-08-06"), "gpt-4o-2024-08-06 gpt-4o");
        assert_eq!(
            names("openrouter/openai/gpt-4-0613"),
            "openrouter/openai/gpt-4-0613 openai/gpt-4-0613 gpt-4-0613 \
                    openrouter/openai/gpt-4 openai/gpt-4 gpt-4"
        );
        assert_eq!(
            names("claude-haiku-4-5@20251001"),
            "claude-haiku-4-5@20251001 claude-haiku-4-5"
        );
        assert_eq!(names("Qwen/Qwen3-8B"), "qwen/qwen3-8b");
        assert_eq!(
            names("ft:gpt-4o-2024-08-06:me::x1"),
            "ft:gpt-4o-2024-08-06 ft:gpt-4o"
        );
        assert_eq!(names("-2024"), "-2024");
        assert_eq!(names("é-20240806"), "é-20240806 é");
        assert_eq!(names(""), "");
    }

    #[test]
    fn the_nearest_is_near() {
        let listed = ["gpt-4o", "gpt-4o-mini", "o3"];
        assert_eq!(
            nearest("gpt4o-mini", listed.into_iter()),
            Some("gpt-4o-mini")
        );
        assert_eq!(nearest("llama-3", listed.into_iter()), None);
        assert_eq!(nearest("", listed.into_iter()), None);
    }
}
