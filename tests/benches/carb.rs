//! `carb`: precision, recall and area of the extractor on the development half of CaRB.

mod scorer;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use mlk8s_openie::analyse_tokens;

use self::scorer::{Score, Tuple, Tuples, score};

/// What CaRB's own scorer gives OpenIE-5 on the development half: precision, recall, F1, area.
const OPENIE5: [f64; 4] = [0.526, 0.406, 0.458, 0.240];
const TOLERANCE: f64 = 0.002;

/// Checks the scorer against OpenIE-5's known figures, then scores our extractor.
pub(crate) fn run(data: &Path, out: &mut dyn Write) -> anyhow::Result<()> {
    let folder = data.join("carb-dev");
    ensure!(
        folder.is_dir(),
        "no benchmark data: `{}`; set `MLK8S_BENCH_DATA`",
        folder.display()
    );
    let gold = read_gold(&read(&folder.join("dev.tsv"))?)?;
    let openie5 = score(
        &gold,
        &read_openie5(&read(&folder.join("openie5_output.txt"))?)?,
    );
    let figures = [openie5.precision, openie5.recall, openie5.f1, openie5.auc];
    row(out, "OpenIE-5", &openie5)?;
    for (figure, known) in figures.into_iter().zip(OPENIE5) {
        ensure!(
            (figure - known).abs() <= TOLERANCE,
            "the scorer does not give OpenIE-5 its known figure: {figure:.3} for {known:.3}"
        );
    }
    let start = std::time::Instant::now();
    let ours = extract(&gold);
    let seconds = start.elapsed().as_secs_f64();
    row(out, "mlk8s", &score(&gold, &ours))?;
    let n_words: usize = gold
        .keys()
        .map(|sentence| sentence.split_whitespace().count())
        .sum();
    let n: usize = ours.values().map(Vec::len).sum();
    writeln!(
        out,
        "{n} extractions from {} sentences, {:.0} words/s",
        gold.len(),
        n_words as f64 / seconds
    )?;
    Ok(())
}

fn row(out: &mut dyn Write, name: &str, score: &Score) -> anyhow::Result<()> {
    let Score {
        precision,
        recall,
        f1,
        auc,
    } = score;
    writeln!(
        out,
        "{name:10} precision {precision:.3}  recall {recall:.3}  F1 {f1:.3}  AUC {auc:.3}"
    )?;
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// What our extractor finds in the sentences of the gold file, which are already cut into words.
fn extract(gold: &Tuples) -> Tuples {
    let clauses = |sentence: &String| {
        let words: Vec<&str> = sentence.split_whitespace().collect();
        let tuples = analyse_tokens(&words).into_iter().map(|clause| {
            let text = |range: std::ops::Range<usize>| words[range].join(" ");
            let mut arguments = vec![text(clause.subject), text(clause.object)];
            arguments.extend(clause.adverbial.map(text));
            Tuple {
                confidence: f64::from(clause.confidence),
                relation: clause.relation,
                arguments,
            }
        });
        (sentence.clone(), tuples.collect())
    };
    gold.keys().map(clauses).collect()
}

/// Lines of sentence, relation, arguments.
fn read_gold(text: &str) -> anyhow::Result<Tuples> {
    let mut tuples = Tuples::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.trim().split('\t').map(str::trim).collect();
        let [sentence, relation, arguments @ ..] = columns.as_slice() else {
            anyhow::bail!("not a gold tuple: `{line}`")
        };
        let arguments = arguments
            .iter()
            .filter(|argument| !argument.contains("C: "))
            .map(ToString::to_string)
            .collect();
        let tuple = Tuple {
            confidence: 1.0,
            relation: (*relation).to_owned(),
            arguments,
        };
        tuples
            .entry((*sentence).to_owned())
            .or_default()
            .push(tuple);
    }
    Ok(tuples)
}

/// Lines of confidence, context, argument, relation, arguments, sentence, in OpenIE-5's notation.
fn read_openie5(text: &str) -> anyhow::Result<Tuples> {
    let mut tuples = Tuples::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.trim().split('\t').collect();
        let [confidence, context, subject, relation, rest, sentence] = columns.as_slice() else {
            continue;
        };
        if subject.is_empty() || relation.is_empty() || rest.is_empty() {
            continue;
        }
        let (mut subject, relation) = (inside(subject)?.to_owned(), inside(relation)?);
        if !context.is_empty() {
            let context = inside(context)?;
            if !format!("{subject} {relation}").starts_with(context) {
                subject = format!("{context} {subject}");
            }
        }
        let mut arguments = vec![subject];
        for argument in rest.trim().split(");") {
            arguments.push(inside(argument)?.to_owned());
        }
        let tuple = Tuple {
            confidence: confidence.parse()?,
            relation: relation.to_owned(),
            arguments,
        };
        tuples
            .entry((*sentence).to_owned())
            .or_default()
            .push(tuple);
    }
    Ok(tuples)
}

/// The text of `SimpleArgument(text,List(…))`.
fn inside(part: &str) -> anyhow::Result<&str> {
    let from = part.find('(').context("no bracket")? + 1;
    let to = part.find(",List(").context("no list of places")?;
    Ok(part.get(from..to).unwrap_or_default())
}
