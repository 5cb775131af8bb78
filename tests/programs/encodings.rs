//! Compares encodings of categorical sets by how well k-means then finds their classes, and what `choose` would take.
//!
//! `mlk8s-encodings FOLDER [SET…]`: ARFF files whose last column is the class, which is used for the scores only. Protocol: as
//! many clusters as classes, 10 seeds, the best of 10 starts; identifiers and ages are left out.

use std::io::Write;
use std::{env, fs, io};

use mlk8s_clustering::encode::{EncodeOptions, Method, Vectors, encode};
use mlk8s_clustering::{
    ChooseOptions, Codes, Column, Dense, ModesInit, ModesOptions, Options, Silent, Table, accuracy,
    adjusted_rand, choose, kmeans, kmodes, mutual_information,
};

type Failure = Box<dyn std::error::Error>;

const SETS: [&str; 10] = [
    "zoo",
    "vote",
    "soybean",
    "breast.cancer",
    "lymph",
    "primary.tumor",
    "dermatology",
    "tic-tac-toe",
    "car",
    "mushroom",
];
/// Columns that name rows, or are numbers.
const LEFT_OUT: [(&str, &str); 2] = [("zoo", "animal"), ("dermatology", "age")];
const SEEDS: u64 = 10;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let folder = arguments.first().ok_or("which folder?")?;
    let sets: Vec<&str> = match &arguments[1..] {
        [] => SETS.to_vec(),
        some => some.iter().map(String::as_str).collect(),
    };
    let mut out = io::stdout().lock();
    let methods = ChooseOptions::new(2).methods;
    let mut totals = vec![[0.0; 3]; methods.len() + 3];
    for set in &sets {
        let (table, classes) = read(folder, set)?;
        let k = classes.iter().max().map_or(0, |&class| class as usize + 1);
        let mut scores = Vec::new();
        for &method in &methods {
            scores.push(of_kmeans(&table, method, k, &classes)?);
        }
        for init in [ModesInit::Cao, ModesInit::Huang] {
            scores.push(of_modes(&table, init, k, &classes)?);
        }
        let choice = choose(&table, &ChooseOptions::new(k), &Silent)?;
        scores.push(
            methods
                .iter()
                .position(|&method| method == choice.method)
                .map_or([0.0; 3], |at| scores[at]),
        );
        writeln!(
            out,
            "{set}: {} rows, {} columns, {k} classes; {}",
            table.n_rows(),
            table.columns.len(),
            choice.reason
        )?;
        for (candidate, [acc, ari, nmi]) in choice.candidates.iter().zip(&scores) {
            writeln!(
                out,
                "  {:<13} ACC {acc:.3} ARI {ari:.3} NMI {nmi:.3} | stability {:.3} ({:+.1}) silhouette {:.4} ({:+.1})",
                candidate.way.to_string(),
                candidate.stability,
                candidate.more_stable,
                candidate.silhouette,
                candidate.better_apart
            )?;
        }
        for (total, scores) in totals.iter_mut().zip(&scores) {
            total
                .iter_mut()
                .zip(scores)
                .for_each(|(total, score)| *total += score / sets.len() as f64);
        }
    }
    let names = methods
        .iter()
        .map(ToString::to_string)
        .chain(["k-modes Cao", "k-modes Huang", "chosen"].map(str::to_owned));
    for (name, [acc, ari, nmi]) in names.zip(totals) {
        writeln!(
            out,
            "mean {name:<13} ACC {acc:.3} ARI {ari:.4} NMI {nmi:.3}"
        )?;
    }
    Ok(())
}

fn of_kmeans(
    table: &Table,
    method: Method,
    k: usize,
    classes: &[u32],
) -> Result<[f64; 3], Failure> {
    let (_, vectors) = encode(table, &EncodeOptions::new(method), &Silent)?;
    mean_scores(classes, |seed| {
        let options = Options {
            n_init: 10,
            seed,
            ..Options::new(k)
        };
        Ok(match &vectors {
            Vectors::Codes(codes) => kmeans::fit(codes, None, &options, &Silent)?.labels,
            Vectors::Dense { values, dims, .. } => {
                kmeans::fit(&Dense::new(values, *dims)?, None, &options, &Silent)?.labels
            }
        })
    })
}

fn of_modes(
    table: &Table,
    init: ModesInit,
    k: usize,
    classes: &[u32],
) -> Result<[f64; 3], Failure> {
    let (_, Vectors::Codes(codes)) = encode(table, &EncodeOptions::new(Method::OneHot), &Silent)?
    else {
        return Err("one-hot rows are codes".into());
    };
    mean_scores(classes, |seed| {
        let options = ModesOptions {
            init,
            n_init: 10,
            seed: seed * 100,
            ..ModesOptions::new(k)
        };
        Ok(kmodes(&codes, &options, &Silent)?.labels)
    })
}

fn mean_scores(
    classes: &[u32],
    labels: impl Fn(u64) -> Result<Vec<u32>, Failure>,
) -> Result<[f64; 3], Failure> {
    let mut means = [0.0; 3];
    for seed in 0..SEEDS {
        let labels = labels(seed)?;
        let scores = [
            accuracy(classes, &labels),
            adjusted_rand(classes, &labels),
            mutual_information(classes, &labels),
        ];
        means
            .iter_mut()
            .zip(scores)
            .for_each(|(mean, score)| *mean += score / SEEDS as f64);
    }
    Ok(means)
}

/// The columns of a set, and the class of each row.
fn read(folder: &str, set: &str) -> Result<(Table, Vec<u32>), Failure> {
    let bytes = fs::read(format!("{folder}/{set}.arff"))?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('%'));
    let (head, data): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with('@'));
    let names = head
        .iter()
        .filter(|line| line[1..].to_lowercase().starts_with("attribute"));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().nth(1))
        .collect();
    let rows: Vec<Vec<&str>> = data
        .iter()
        .map(|line| {
            line.split(',')
                .map(|value| value.trim().trim_matches('\'').trim())
                .collect()
        })
        .collect();
    let column = |at: usize| {
        let values = rows
            .iter()
            .map(|row| row.get(at).copied().filter(|&value| value != "?"));
        Column::from_texts(names[at].trim_matches('\''), values)
    };
    let class = column(names.len() - 1).codes;
    let left_out = |name: &str| LEFT_OUT.contains(&(set, name.to_lowercase().as_str()));
    let columns = (0..names.len() - 1)
        .map(column)
        .filter(|column| !left_out(&column.name))
        .collect();
    if class.contains(&Codes::MISSING) {
        return Err("a class is missing".into());
    }
    Ok((
        Table {
            columns,
            numeric: Vec::new(),
        },
        class,
    ))
}
