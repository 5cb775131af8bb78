//! Mistakes a tagger makes that the syntax around the word gives away.

use crate::sentence::{Pos, Word};
use crate::tag::Form;

/// In "per - share", "locking - in" and "FHA - insured" every part belongs to a noun phrase.
pub(crate) fn join_hyphened(words: &mut [Word]) {
    for i in 1..words.len().saturating_sub(1) {
        if !matches!(words[i].text, "-" | "‐" | "‑")
            || words[i - 1].pos == Pos::Mark
            || words[i + 1].pos == Pos::Mark
        {
            continue;
        }
        words[i].pos = Pos::Mark;
        if !words[i - 1].is_noun() && words[i - 1].pos != Pos::Number {
            words[i - 1].pos = Pos::Adjective;
        }
        if !words[i + 1].is_noun() && words[i + 1].pos != Pos::Number {
            words[i + 1].pos = Pos::Adjective;
        }
    }
}

/// Largest gap at which a word becomes the verb of a clause that has none; of a sentence that has none.
const VERB_GAPS: [i32; 2] = [25, 45];

/// How much nearer a word is when it agrees with a plural before it: "panels convert sunlight".
const AGREEMENT: i32 = 90;

/// How far a word is from being the verb of its clause.
fn gap(words: &[Word], at: usize) -> i32 {
    let plural = |word: &Word| {
        word.pos == Pos::Noun
            && word.lower.ends_with('s')
            && !["ss", "us", "is", "ics"]
                .iter()
                .any(|end| word.lower.ends_with(end))
    };
    let agrees = at > 0
        && plural(&words[at - 1])
        && !words[at].lower.ends_with('s')
        && words[at].pos == Pos::Noun;
    words[at].verb_gap - if agrees { AGREEMENT } else { 0 }
}

/// A stretch between marks that has no finite verb gets the word that came nearest to one.
pub(crate) fn restore_verbs(words: &mut [Word]) {
    let finite = |word: &Word| {
        word.pos == Pos::Auxiliary
            || (word.pos == Pos::Verb && matches!(word.form, Form::Finite | Form::Base))
    };
    let verbless = !words.iter().any(finite);
    let bounds = |word: &Word| {
        word.is_comma()
            || word.is_stop()
            || matches!(
                word.pos,
                Pos::Subordinator | Pos::Relative | Pos::Conjunction
            )
    };
    let mut from = 0;
    while from < words.len() {
        let to = words[from..]
            .iter()
            .position(bounds)
            .map_or(words.len(), |n| from + n);
        let nominal = |word: &Word| {
            matches!(word.pos, Pos::Noun | Pos::Adjective)
                && word.text.chars().all(char::is_lowercase)
        };
        let follows = |at: usize| {
            words
                .get(at + 1)
                .is_some_and(|next| !bounds(next) && next.text != "-")
                && (at > 0
                    && words[at - 1].text != "-"
                    && !matches!(
                        words[at - 1].pos,
                        Pos::Determiner | Pos::Preposition | Pos::PossessivePronoun
                    ))
        };
        if !words[from..to].iter().any(&finite) {
            let best = (from.max(1)..to)
                .filter(|&at| nominal(&words[at]) && follows(at))
                .min_by_key(|&at| gap(words, at));
            if let Some(at) = best.filter(|&at| gap(words, at) <= VERB_GAPS[usize::from(verbless)])
            {
                words[at].pos = Pos::Verb;
                words[at].form = Form::Finite;
            }
        }
        from = to + 1;
    }
}

/// The class of word `i` in the light of its neighbours; those before it are repaired already.
pub(crate) fn repaired(words: &[Word], i: usize) -> Pos {
    small_word(words, i).unwrap_or_else(|| open_word(words, i))
}

/// Words of closed classes.
fn small_word(words: &[Word], i: usize) -> Option<Pos> {
    let word = &words[i];
    let before = i.checked_sub(1).map(|i| &words[i]);
    let after = words.get(i + 1);
    let before_pos = before.map(|word| word.pos);
    let after_pos = after.map(|word| word.pos);
    let verb = word.pos == Pos::Verb && before_pos != Some(Pos::Auxiliary);
    let after_noun = before.is_some_and(|word| word.is_noun() || word.is_comma());
    let found = match word.lower.as_str() {
        "'" | "’" if owns(words, i) => Pos::Possessive,
        "'s" | "’s" if word.pos != Pos::Auxiliary && word.pos != Pos::Pronoun => Pos::Possessive,
        "to" if after.is_some_and(is_infinitive) => Pos::To,
        "to" => Pos::Preposition,
        "including" | "regarding" | "concerning" | "according" | "following" | "involving"
            if verb =>
        {
            Pos::Preposition
        }
        "provided" if verb && after.is_some_and(|after| after.lower == "that") => Pos::Subordinator,
        "each" | "some" | "all" | "many" | "most" | "both" | "several" | "none" | "any"
        | "much" | "half" | "few"
            if after.is_some_and(|after| after.lower == "of") =>
        {
            Pos::Pronoun
        }
        "for" if word.pos == Pos::Subordinator => Pos::Preposition,
        "her"
            if !matches!(
                after_pos,
                Some(Pos::Noun | Pos::Name | Pos::Adjective | Pos::Number | Pos::Verb)
            ) =>
        {
            Pos::Pronoun
        }
        "that"
            if matches!(
                word.pos,
                Pos::Subordinator | Pos::Relative | Pos::Determiner
            ) =>
        {
            that(words, i)
        }
        "which" | "who" | "whom" => Pos::Relative,
        "where" | "when" if after_noun => Pos::Subordinator,
        _ => return None,
    };
    Some(found)
}

/// Whether the mark at `i` makes an owner of the plural before it.
fn owns(words: &[Word], i: usize) -> bool {
    let plural = i > 0 && words[i - 1].is_noun() && words[i - 1].lower.ends_with('s');
    let owned = words
        .get(i + 1)
        .is_some_and(|word| matches!(word.pos, Pos::Noun | Pos::Name | Pos::Adjective));
    plural && owned && !opened_single(&words[..i])
}

fn is_infinitive(word: &Word) -> bool {
    word.pos == Pos::Auxiliary
        || (word.pos == Pos::Verb && !matches!(word.form, Form::Participle | Form::Gerund))
}

/// Words of open classes, and subordinators that are prepositions.
fn open_word(words: &[Word], i: usize) -> Pos {
    let word = &words[i];
    let after = words.get(i + 1);
    let after_pos = after.map(|word| word.pos);
    let after_noun = i > 0 && words[i - 1].pos == Pos::Noun;
    let gerund_after =
        after.is_some_and(|after| after.form == Form::Gerund || after.lower == "being");
    let verb_second = words
        .get(2)
        .is_some_and(|word| word.pos == Pos::Auxiliary || word.form == Form::Finite);
    match word.pos {
        _ if is_code_name(words, i) => Pos::Name,
        Pos::Subordinator if word.is(GERUND_PREPOSITIONS) && gerund_after => Pos::Preposition,
        Pos::Verb if word.form == Form::Gerund && word.is(COMPOUND_GERUNDS) && after_noun => {
            Pos::Noun
        }
        Pos::Verb if i == 0 && after_pos == Some(Pos::Noun) && verb_second => Pos::Noun,
        Pos::Verb => verb(
            words,
            i,
            matches!(after_pos, Some(Pos::Noun | Pos::Name | Pos::Adjective)),
        ),
        Pos::Noun | Pos::Adjective if is_missed_verb(words, i) => Pos::Verb,
        Pos::Adjective if ends_phrase(words, i) => Pos::Noun,
        Pos::Other => other(word),
        pos => pos,
    }
}

/// Forms in -ing that follow a noun as its head: "question answering", "machine learning".
#[rustfmt::skip]
const COMPOUND_GERUNDS: &[&str] = &[
    "answering", "learning", "modelling", "modeling", "processing", "understanding", "making",
    "testing", "mining", "engineering", "computing", "training", "embedding", "matching",
    "ranking", "parsing", "tagging", "clustering", "indexing", "programming", "planning",
    "scheduling", "monitoring", "caching", "sampling", "scaling", "tuning", "prompting",
    "reasoning", "building", "editing", "sequencing", "imaging", "manufacturing", "farming",
    "fishing", "banking", "sharing", "solving",
];

/// "BM25", "T5", "BERT" and the parts of "GPT-2" are names, whatever the tagger took them for.
fn is_code_name(words: &[Word], i: usize) -> bool {
    let word = &words[i];
    if word.is_noun()
        || word.pos == Pos::Mark
        || words
            .iter()
            .all(|word| !word.text.contains(char::is_lowercase))
    {
        return false;
    }
    let upper = word.text.chars().filter(|c| c.is_uppercase()).count();
    let plain =
        word.text.chars().all(char::is_alphanumeric) && word.text.starts_with(char::is_uppercase);
    let mixed = upper > 0 && plain && word.text.contains(char::is_numeric);
    let capitals = upper > 2 && plain && upper == word.text.chars().count();
    let hyphened = i > 1
        && words[i - 1].text == "-"
        && words[i - 2].pos == Pos::Name
        && (upper > 0 || word.pos == Pos::Number);
    mixed || capitals || hyphened
}

/// Prepositions that treebanks call subordinators before a form in -ing.
#[rustfmt::skip]
const GERUND_PREPOSITIONS: &[&str] = &[
    "of", "by", "for", "in", "from", "on", "with", "without", "after", "before", "at", "about",
    "into", "to", "through", "upon", "than", "like", "against", "despite", "besides", "over",
    "instead",
];

/// A word in -s or -ed between a noun and the start of another phrase: "the model outperforms all", "Apollo 11 landed on".
fn is_missed_verb(words: &[Word], i: usize) -> bool {
    let word = &words[i];
    let Some(before) = i.checked_sub(1).map(|i| &words[i]) else {
        return false;
    };
    let Some(after) = words.get(i + 1) else {
        return false;
    };
    if before.is_verbal()
        || !(before.is_noun() || before.pos == Pos::Number)
        || word.text.starts_with(char::is_uppercase)
    {
        return false;
    }
    let phrase = matches!(
        after.pos,
        Pos::Determiner | Pos::PossessivePronoun | Pos::Pronoun
    );
    let verbless = || {
        let clause_mark = |word: &&Word| {
            !(word.is_comma()
                || word.is_stop()
                || matches!(word.pos, Pos::Subordinator | Pos::Conjunction))
        };
        !words[..i]
            .iter()
            .rev()
            .take_while(clause_mark)
            .any(Word::is_verbal)
            && !words[i + 1..].iter().take_while(clause_mark).any(|word| {
                word.pos == Pos::Auxiliary || (word.pos == Pos::Verb && word.form == Form::Finite)
            })
    };
    let third = word.lower.ends_with('s') && !word.lower.ends_with("ss") && phrase;
    let past = word.lower.ends_with("ed") && (phrase || after.pos == Pos::Preposition);
    (third || past) && verbless()
}

/// An adjective where a noun phrase needs its noun: "its objective ,".
fn ends_phrase(words: &[Word], i: usize) -> bool {
    let opener = words[..i]
        .iter()
        .rev()
        .find(|word| word.pos != Pos::Adjective && word.text != "-");
    let begun = opener.is_some_and(|word| {
        matches!(word.pos, Pos::PossessivePronoun | Pos::Possessive) || word.is(&["the", "a", "an"])
    });
    let next = words.get(i + 1);
    let verb = next.is_some_and(|next| {
        next.pos == Pos::Auxiliary
            || next.is_stop()
            || next.is_comma()
            || next.pos == Pos::Preposition
    });
    begun && verb
}

/// Whether a single quotation mark is still open.
fn opened_single(words: &[Word]) -> bool {
    words
        .iter()
        .rev()
        .take_while(|word| word.text != "'")
        .any(|word| word.text == "`" || word.text == "‘")
}

/// "that" after a noun and before a verb stands for the noun.
fn that(words: &[Word], i: usize) -> Pos {
    let verb_next = words[i + 1..]
        .iter()
        .find(|word| word.pos != Pos::Adverb)
        .is_some_and(Word::is_verbal);
    let plural = words.get(i + 1).is_some_and(|word| {
        matches!(
            word.pos,
            Pos::Determiner | Pos::Pronoun | Pos::Name | Pos::PossessivePronoun
        ) || (word.lower.ends_with('s') && word.pos == Pos::Noun)
            || (word.pos == Pos::Adjective
                && words
                    .get(i + 2)
                    .is_some_and(|noun| noun.pos == Pos::Noun && noun.lower.ends_with('s')))
    });
    if words[i].pos == Pos::Determiner && !verb_next && !plural {
        return Pos::Determiner;
    }
    let noun_before = i > 0
        && (words[i - 1].is_noun() || (words[i - 1].is_comma() && i > 1 && words[i - 2].is_noun()));
    match (noun_before, verb_next) {
        (true, true) => Pos::Relative,
        (false, true) if i > 0 && words[i - 1].is_verbal() || i == 0 => Pos::Pronoun,
        _ if words[i].pos == Pos::Relative => Pos::Relative,
        _ => Pos::Subordinator,
    }
}

/// Verbs that take another in -ing: "began selling shares".
#[rustfmt::skip]
const CATENATIVE: &[&str] = &[
    "start", "starts", "started", "stop", "stops", "stopped", "begin", "begins", "began", "begun",
    "keep", "keeps", "kept", "continue", "continues", "continued", "avoid", "avoids", "avoided",
    "involve", "involves", "involved", "include", "includes", "included", "enjoy", "enjoys",
    "enjoyed", "like", "likes", "love", "loves", "hate", "prefer", "prefers", "consider",
    "considers", "considered", "finish", "finished", "quit", "suggest", "suggests", "suggested",
    "spend", "spends", "spent", "go", "goes", "went", "come", "came", "allow", "allows",
    "allowed", "permit", "permits", "remember", "risk", "stand", "began", "mean", "means",
    "meant", "require", "requires", "required", "end", "ended", "try", "tries", "tried", "resume",
    "resumed",
];

/// Participles inside a noun phrase are adjectives; a "verb" right after a determiner is a noun.
fn verb(words: &[Word], i: usize, nominal_after: bool) -> Pos {
    let word = &words[i];
    let Some(before) = i.checked_sub(1).map(|i| &words[i]) else {
        return Pos::Verb;
    };
    let in_phrase = matches!(
        before.pos,
        Pos::Determiner | Pos::Possessive | Pos::PossessivePronoun
    ) && !before.is(&[
        "that", "which", "this", "those", "these", "all", "both", "each",
    ]);
    let participle =
        word.lower.ends_with("ed") || word.lower.ends_with("ing") || word.lower.ends_with("en");
    if participle
        && nominal_after
        && (in_phrase || matches!(before.pos, Pos::Adjective | Pos::Number))
    {
        return Pos::Adjective;
    }
    if word.form == Form::Gerund
        && nominal_after
        && before.pos == Pos::Verb
        && !before.is(CATENATIVE)
    {
        return Pos::Adjective;
    }
    if in_phrase && nominal_after {
        Pos::Adjective
    } else if in_phrase {
        Pos::Noun
    } else {
        Pos::Verb
    }
}

/// A guess for words of no class.
fn other(word: &Word) -> Pos {
    let ends = |endings: &[&str]| endings.iter().any(|ending| word.lower.ends_with(ending));
    match word.text.chars().next() {
        Some(c) if c.is_numeric() => Pos::Number,
        Some(c) if c.is_uppercase() => Pos::Name,
        _ if ends(&["ly"]) => Pos::Adverb,
        _ if ends(&["ous", "ive", "able", "ible", "ical"]) => Pos::Adjective,
        _ => Pos::Noun,
    }
}
