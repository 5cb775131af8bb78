//! Encodings: levels, missing answers, axes, further rows.

use super::*;
use crate::table::{Column, Numeric};
use crate::watch::Silent;

fn table(columns: &[(&str, &[&str])]) -> Table {
    let column = |&(name, texts): &(&str, &[&str])| {
        Column::from_texts(
            name,
            texts.iter().map(|&text| (text != "?").then_some(text)),
        )
    };
    Table {
        columns: columns.iter().map(column).collect(),
        numeric: Vec::new(),
    }
}

/// Three questions whose answers follow from a hidden kind in most cases, and one that does not.
fn survey(n_rows: usize) -> Table {
    let mut rng = fastrand::Rng::with_seed(9);
    let columns = (0..4).map(|question| Column {
        name: format!("q{question}"),
        levels: ["a", "b", "c", "d"].map(str::to_owned).to_vec(),
        codes: (0..n_rows as u32)
            .map(|row| {
                if question == 3 || rng.u8(..5) == 0 {
                    rng.u32(..4)
                } else {
                    row % 4
                }
            })
            .collect(),
    });
    Table {
        columns: columns.collect(),
        numeric: Vec::new(),
    }
}

fn encoded(table: &Table, method: Method) -> (Encoder, Vec<f32>) {
    let (encoder, vectors) = encode(table, &EncodeOptions::new(method), &Silent).unwrap();
    assert_eq!(vectors.dims(), encoder.dims());
    assert_eq!(encoder.names().len(), encoder.dims());
    (encoder, vectors.dense())
}

fn distance(values: &[f32], dims: usize, a: usize, b: usize) -> f32 {
    let (a, b) = (&values[a * dims..][..dims], &values[b * dims..][..dims]);
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[test]
fn one_hot_has_a_column_a_level() {
    let table = table(&[
        ("colour", &["red", "blue", "red", "?"]),
        ("size", &["s", "m", "m", "m"]),
    ]);
    let (encoder, values) = encoded(&table, Method::OneHot);
    assert_eq!(
        encoder.names(),
        [
            "colour=red",
            "colour=blue",
            "colour=missing",
            "size=s",
            "size=m"
        ]
    );
    assert_eq!(
        values[..10],
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    );
    let options = EncodeOptions {
        missing: Missing::Ignore,
        ..EncodeOptions::new(Method::OneHot)
    };
    let (encoder, vectors) = encode(&table, &options, &Silent).unwrap();
    assert_eq!(encoder.dims(), 4);
    assert_eq!(vectors.dense()[12..], [0.0, 0.0, 0.0, 1.0]);
}

#[test]
fn chi2_divides_by_the_root_of_the_share() {
    let (_, values) = encoded(&table(&[("x", &["a", "a", "a", "b"])]), Method::Chi2);
    assert_eq!(values[6..], [0.0, 2.0]);
    assert!((values[0] - 0.75_f32.sqrt().recip()).abs() < 1e-6);
}

#[test]
fn mca_keeps_all_chi2_distances_when_all_dimensions_are_kept() {
    let table = survey(200);
    let (chi2, wide) = encoded(&table, Method::Chi2);
    let (mca, few) = encoded(&table, Method::Mca(12));
    assert_eq!((chi2.dims(), mca.dims()), (16, 12));
    for (a, b) in [(0, 1), (3, 77), (150, 20)] {
        let (whole, kept) = (distance(&wide, 16, a, b) / 4.0, distance(&few, 12, a, b));
        assert!(
            (whole - kept).abs() < 1e-3 * (1.0 + whole),
            "{whole} {kept}"
        );
    }
    assert!((mca.explained().iter().sum::<f32>() - 1.0).abs() < 1e-4);
    assert!(mca.explained()[0] > 0.1 && mca.explained().is_sorted_by(|a, b| a >= b));
}

#[test]
fn coupling_and_ppmi_bring_rows_of_a_kind_together() {
    let table = survey(400);
    for method in [Method::Coupling(32), Method::Ppmi(3)] {
        let (encoder, values) = encoded(&table, method);
        let mean = |same: bool| {
            let pairs = (0..400_usize)
                .flat_map(|a| (0..a).map(move |b| (a, b)))
                .filter(|(a, b)| (a % 4 == b % 4) == same);
            let (sum, count) = pairs.fold((0.0, 0.0), |(sum, n), (a, b)| {
                (sum + distance(&values, encoder.dims(), a, b), n + 1.0)
            });
            sum / count
        };
        assert!(
            mean(false) > 2.5 * mean(true),
            "{method}: {} {}",
            mean(false),
            mean(true)
        );
    }
}

#[test]
fn coupling_is_the_mean_of_conditional_shares() {
    let table = table(&[("x", &["a", "a", "b", "b"]), ("y", &["u", "v", "v", "v"])]);
    let (encoder, values) = encoded(&table, Method::Coupling(8));
    // Shares (x=a, x=b, y=u, y=v): a → 1 0 ½ ½, b → 0 1 0 1, u → 1 0 1 0, v → ⅓ ⅔ 0 1; rows are means of two.
    let row = |x: [f32; 4], y: [f32; 4]| -> Vec<f32> {
        x.iter().zip(y).map(|(x, y)| f32::midpoint(*x, y)).collect()
    };
    let v = [1.0 / 3.0, 2.0 / 3.0, 0.0, 1.0];
    let rows = [
        row([1.0, 0.0, 0.5, 0.5], [1.0, 0.0, 1.0, 0.0]),
        row([1.0, 0.0, 0.5, 0.5], v),
        row([0.0, 1.0, 0.0, 1.0], v),
    ];
    for (a, b) in [(0, 1), (0, 2), (1, 2)] {
        let wanted = distance(&rows.concat(), 4, a, b);
        assert!((distance(&values, encoder.dims(), a, b) - wanted).abs() < 1e-5);
    }
}

#[test]
fn further_rows_are_encoded_as_the_first_were() {
    let table = survey(300);
    for method in [
        Method::OneHot,
        Method::Chi2,
        Method::Mca(4),
        Method::Ppmi(3),
        Method::Coupling(6),
    ] {
        let (encoder, values) = encoded(&table, method);
        let few = encoder.encode(&table.select(&[250, 7])).unwrap().dense();
        let dims = encoder.dims();
        let wanted = [&values[250 * dims..251 * dims], &values[7 * dims..8 * dims]].concat();
        assert!(
            few.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-6),
            "{method}"
        );
    }
}

#[test]
fn new_levels_are_other_and_rare_ones_are_put_together() {
    let known = table(&[
        ("x", &["a", "a", "a", "b", "c", "d"]),
        ("y", &["k", "l", "k", "l", "k", "l"]),
    ]);
    let options = EncodeOptions {
        rare_count: 2,
        ..EncodeOptions::new(Method::OneHot)
    };
    let encoder = Encoder::fit(&known, &options, &Silent).unwrap();
    assert_eq!(encoder.names(), ["x=a", "x=other", "y=k", "y=l"]);
    assert_eq!(encoder.notes(), ["3 rare levels of `x` became `other`"]);
    let further = table(&[("y", &["l", "new"]), ("x", &["new", "c"])]);
    assert_eq!(
        encoder.encode(&further).unwrap().dense(),
        [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    );
}

#[test]
fn numbers_weigh_what_a_category_weighs() {
    let mut table = survey(500);
    table.numeric.push(Numeric {
        name: "age".to_owned(),
        values: (0..500).map(|row| (row % 50) as f32).collect(),
    });
    table.numeric[0].values[3] = f32::NAN;
    for method in [
        Method::OneHot,
        Method::Chi2,
        Method::Coupling(4),
        Method::Ppmi(2),
    ] {
        let (encoder, values) = encoded(&table, method);
        let dims = encoder.dims();
        assert_eq!(encoder.names()[dims - 1], "age");
        let variance = |column: usize| {
            let values = || values.chunks(dims).map(|row| f64::from(row[column]));
            let mean = values().sum::<f64>() / 500.0;
            values().map(|value| (value - mean).powi(2)).sum::<f64>() / 500.0
        };
        let categories: f64 = (0..dims - 1).map(variance).sum::<f64>() / 4.0;
        assert!(
            (variance(dims - 1) / categories - 1.0).abs() < 0.01,
            "{method}"
        );
        assert!(values[3 * dims + dims - 1].abs() < 1e-6);
    }
    let (mca, _) = encoded(&table, Method::Mca(13));
    assert_eq!(mca.dims(), 13);
    let numbers = Table {
        columns: Vec::new(),
        numeric: table.numeric,
    };
    for method in [Method::OneHot, Method::Mca(1), Method::Coupling(2)] {
        let (_, values) = encoded(&numbers, method);
        assert_eq!(values.len(), 500, "{method}");
    }
}

#[test]
fn bad_input_is_named() {
    let message = |table: &Table, options: &EncodeOptions| {
        Encoder::fit(table, options, &Silent)
            .unwrap_err()
            .to_string()
    };
    let options = EncodeOptions::new(Method::Mca(2));
    assert_eq!(message(&Table::default(), &options), "no columns to encode");
    assert_eq!(
        message(&table(&[("x", &["a", "a"])]), &options),
        "each column has the same value in all rows"
    );
    let few = EncodeOptions {
        max_levels: 2,
        ..options.clone()
    };
    let three = table(&[("id", &["1", "2", "3"])]);
    assert_eq!(
        message(&three, &few),
        "column `id` has 3 different values, more than the 2 that are allowed"
    );
    let none = EncodeOptions::new(Method::Mca(0));
    assert_eq!(
        message(&three, &none),
        "0 dimensions, where between 1 and 2 are possible"
    );
    let small = EncodeOptions {
        memory: Some(1000),
        ..EncodeOptions::new(Method::Coupling(16))
    };
    let refused = message(&survey(1000), &small);
    assert!(
        refused.starts_with("coupling(16) on this table needs about 1 MB"),
        "{refused}"
    );
    let mut torn = table(&[("x", &["a", "b"]), ("y", &["a", "b"])]);
    torn.columns[1].codes.pop();
    assert_eq!(
        message(&torn, &options),
        "rows of column `y`: 1, where 2 belong"
    );
    let encoder = Encoder::fit(&three, &options, &Silent).unwrap();
    assert_eq!(
        encoder
            .encode(&table(&[("x", &["1"])]))
            .unwrap_err()
            .to_string(),
        "no column `id`"
    );
}

#[test]
fn constant_columns_are_left_out_and_said_so() {
    let (encoder, _) = encoded(
        &table(&[("x", &["a", "a"]), ("y", &["a", "b"])]),
        Method::Mca(3),
    );
    assert_eq!(
        encoder.notes(),
        [
            "left out the constant column `x`",
            "1 dimensions are all there are; 3 were asked for"
        ]
    );
}
