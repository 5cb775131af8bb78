//! Clusters from their parts, their files, and what they say of other rows.

use super::*;
use polars::df;

fn numbers() -> Clusters {
    let basis = Basis {
        columns: Columns::Numbers(vec!["a".to_owned(), "b".to_owned()]),
        cosine: false,
        standard: vec![(10.0, 2.0), (0.0, 1.0)],
    };
    Clusters::new(&[0, 1, 1], vec![0.0, 0.0, 1.0, 4.0], vec![1, 2], 0.5, basis).unwrap()
}

#[test]
fn centres_are_in_the_units_of_the_columns() {
    let clusters = numbers();
    let a = clusters.centroids.column("a").unwrap().f32().unwrap();
    assert_eq!(a.iter().flatten().collect::<Vec<_>>(), [10.0, 12.0]);
    let frame = df!("b" => [0.0, 4.0], "a" => [10i64, 12]).unwrap();
    let found = clusters.predict(&frame).unwrap();
    assert_eq!(
        found.u32().unwrap().iter().flatten().collect::<Vec<_>>(),
        [0, 1]
    );
    let far = clusters.transform(&frame).unwrap();
    let far = far.column("1").unwrap().f32().unwrap();
    assert_eq!(
        far.iter().flatten().collect::<Vec<_>>(),
        [17f32.sqrt(), 0.0]
    );
    assert!(clusters.predict(&df!("a" => [1.0]).unwrap()).is_err());
}

#[test]
fn answers_are_known_by_their_words() {
    let answer = |question: &str, answer: &str| (question.to_owned(), answer.to_owned(), 1.0);
    let basis = Basis {
        columns: Columns::Answers(vec![
            answer("q", "yes"),
            answer("q", "no"),
            answer("r", "1"),
        ]),
        cosine: false,
        standard: Vec::new(),
    };
    let clusters = Clusters::new(
        &[0, 1],
        vec![1.0, 0.0, 0.5, 0.0, 1.0, 0.5],
        vec![1, 1],
        0.0,
        basis,
    )
    .unwrap();
    let frame = df!("q" => ["no", "yes", "never"], "r" => [1i64, 2, 1]).unwrap();
    let found = clusters.predict(&frame).unwrap();
    assert_eq!(
        found.u32().unwrap().iter().flatten().collect::<Vec<_>>(),
        [1, 0, 0]
    );
}

#[test]
fn clusters_come_back_as_they_were() {
    let dir = std::env::temp_dir().join(format!("mlk8s-clusters-{}", std::process::id()));
    let clusters = numbers();
    write_clusters(&dir, &clusters).unwrap();
    let back = read_clusters(&dir).unwrap();
    assert!(back.centroids.equals(&clusters.centroids));
    assert!(back.assignments.equals(&clusters.assignments));
    assert_eq!((back.sizes, back.basis), (clusters.sizes, clusters.basis));
    std::fs::remove_dir_all(&dir).unwrap();
}
