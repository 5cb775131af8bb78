//! What an index promises: items come and go whole, and nothing is lost or half there.

use std::fs;

use super::*;
use crate::{Language, Mode, Query, Silent, Value, Watch};

pub(crate) fn item(id: &str, text: &str) -> Item {
    Item {
        id: id.to_owned(),
        text: text.to_owned(),
        ..Item::default()
    }
}

/// `n` random vectors of unit length.
pub(crate) fn random(n: usize, dims: usize, seed: u64) -> Vec<f32> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut values: Vec<f32> = (0..n * dims)
        .map(|_| rng.f32() + rng.f32() + rng.f32() - 1.5)
        .collect();
    for row in values.chunks_exact_mut(dims) {
        let length = norm(row);
        for v in row {
            *v /= length;
        }
    }
    values
}

fn ids(index: &Index, query: &Query) -> Vec<String> {
    index
        .search(query)
        .unwrap()
        .hits
        .into_iter()
        .map(|hit| hit.item.id)
        .collect()
}

fn words(text: &str) -> Query {
    Query {
        text: text.to_owned(),
        mode: Mode::Words,
        ..Query::default()
    }
}

#[test]
fn items_are_added_replaced_removed_and_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let items = [item("a", "cats chase mice"), item("b", "dogs chase cats")];
    let vectors = Vectors {
        values: &[1.0, 0.0, 0.0, 2.0],
        dims: 2,
    };
    let added = index.add(&items, Some(vectors), &Silent).unwrap();
    assert_eq!(
        added,
        Added {
            n_new: 2,
            ..Added::default()
        }
    );
    let opstamp = index.snapshot.meta.opstamp;
    let again = index.add(&items, Some(vectors), &Silent).unwrap();
    assert_eq!(
        again,
        Added {
            n_unchanged: 2,
            ..Added::default()
        }
    );
    assert_eq!(index.snapshot.meta.opstamp, opstamp, "nothing was written");
    assert_eq!(index.changed(&items, true).unwrap(), Vec::<usize>::new());

    let newer = [item("a", "birds sing"), item("c", "a mouse")];
    assert_eq!(index.changed(&newer, false).unwrap(), [0, 1]);
    let added = index.add(&newer, None, &Silent).unwrap();
    assert_eq!(
        added,
        Added {
            n_new: 1,
            n_replaced: 1,
            n_unchanged: 0
        }
    );
    assert_eq!(
        index.changed(&newer, true).unwrap(),
        [0, 1],
        "they have no vectors"
    );
    assert_eq!(ids(&index, &words("cat")), ["b"]);
    assert_eq!(ids(&index, &words("mice mouse")), ["c"]);
    assert_eq!(index.get("a").unwrap().unwrap().text, "birds sing");
    assert_eq!((index.stats().n_items, index.stats().n_vectors), (3, 1));

    assert_eq!(index.remove(&["b", "b", "nothing"]).unwrap(), 1);
    assert_eq!(index.get("b").unwrap(), None);
    assert_eq!(index.stats().n_vectors, 0);
    let compacted = index.compact(&Silent).unwrap();
    assert_eq!(compacted.n_dropped, 2);
    assert_eq!(ids(&index, &words("sing mouse")), ["a", "c"]);
    index.verify().unwrap();
    assert_eq!(
        ids(&Index::open(dir.path()).unwrap(), &words("sing")),
        ["a"]
    );
}

#[test]
fn vectors_of_another_length_in_bits_count_as_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let mut add = |values: &[f32]| {
        index
            .add(
                &[item("a", "x")],
                Some(Vectors { values, dims: 2 }),
                &Silent,
            )
            .unwrap()
    };
    assert_eq!(add(&[1.0, 0.5]).n_new, 1);
    assert_eq!(add(&[2.0001, 1.0]).n_unchanged, 1);
    assert_eq!(add(&[0.5, 1.0]).n_replaced, 1);
}

#[test]
fn many_small_additions_stay_few_files_and_all_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let vectors = random(60, 8, 5);
    for i in 0..60 {
        let one = Vectors {
            values: &vectors[i * 8..(i + 1) * 8],
            dims: 8,
        };
        index
            .add(
                &[item(&format!("n{i}"), &format!("common word{i}"))],
                Some(one),
                &Silent,
            )
            .unwrap();
        if i % 7 == 0 {
            index.remove(&[&format!("n{}", i / 2)]).unwrap();
        }
    }
    assert!(
        index.snapshot.segments.len() < 8,
        "{}",
        index.snapshot.segments.len()
    );
    assert!(
        index.snapshot.rows.len() < 12,
        "{}",
        index.snapshot.rows.len()
    );
    let (n, n_vectors) = (index.stats().n_items, index.stats().n_vectors);
    assert_eq!(n, n_vectors);
    for i in 0..60 {
        let id = format!("n{i}");
        let by_vector = Query {
            vector: Some(vectors[i * 8..(i + 1) * 8].to_vec()),
            top: 1,
            ..Query::default()
        };
        let alive = index.get(&id).unwrap().is_some();
        assert_eq!(ids(&index, &by_vector) == [id.clone()], alive, "{id}");
        assert_eq!(
            ids(&index, &words(&format!("word{i}"))).len(),
            usize::from(alive)
        );
    }
    let before = ids(
        &index,
        &Query {
            top: 100,
            ..words("common")
        },
    );
    index.compact(&Silent).unwrap();
    assert_eq!(
        (index.snapshot.segments.len(), index.snapshot.rows.len()),
        (1, 1)
    );
    assert_eq!(
        ids(
            &index,
            &Query {
                top: 100,
                ..words("common")
            }
        ),
        before
    );
    index.verify().unwrap();
}

#[test]
fn bad_input_is_named_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let two = [item("a", "x"), item("b", "y")];
    let mut add = |items: &[Item], vectors: Option<(&[f32], usize)>| {
        let vectors = vectors.map(|(values, dims)| Vectors { values, dims });
        index
            .add(items, vectors, &Silent)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    let fails =
        |result: Result<(), String>, message: &str| assert_eq!(result.unwrap_err(), message);
    fails(
        add(&two, Some((&[1.0; 5], 2))),
        "5 values are no vectors of 2 dimensions for 2 items",
    );
    fails(
        add(&two, Some((&[1.0, 0.0, 0.0, f32::NAN], 2))),
        "vector 1 has a value that is not a finite number at position 1: NaN",
    );
    fails(
        add(&two, Some((&[1.0, 0.0, 0.0, 0.0], 2))),
        "vector 1 is zero, and zero has no direction",
    );
    fails(
        add(&[item("a", " \n.")], None),
        "item 0, `a`, has no text, no title and no vector",
    );
    fails(add(&[item("", "x")], None), "item 0, ``, has no id");
    fails(
        add(&[item("a", "x"), item("a", "y")], None),
        "items 0 and 1 have the same id: `a`",
    );
    add(&two, Some((&[1.0, 0.0, 0.0, 1.0], 2))).unwrap();
    fails(
        add(&[item("c", "x")], Some((&[1.0; 3], 3))),
        "vectors have 3 dimensions, and those of the index have 2",
    );
    let field = |value| Item {
        fields: [("year".to_owned(), value)].into(),
        ..item("d", "x")
    };
    add(&[field(Value::Number(2020.0))], None).unwrap();
    fails(
        add(&[field(Value::Text("old".to_owned()))], None),
        "field `year` of item `d` holds a text, and in this index `year` is a number",
    );
    assert_eq!(index.stats().n_items, 3);
}

#[test]
fn bad_queries_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let one = Vectors {
        values: &[1.0, 0.0],
        dims: 2,
    };
    index.add(&[item("a", "x")], Some(one), &Silent).unwrap();
    let search = |query: Query| index.search(&query).unwrap_err().to_string();
    assert_eq!(
        search(Query::default()),
        "the query has neither words nor a vector"
    );
    assert_eq!(
        search(words("?!")),
        "the query has no words to search for: `?!`"
    );
    assert_eq!(
        search(Query {
            vector: Some(vec![1.0]),
            ..Query::default()
        }),
        "vectors have 1 dimensions, and those of the index have 2"
    );
    assert_eq!(
        search(
            Query {
                mode: Mode::Hybrid,
                ..words("x")
            }
            .clone()
        ),
        "the query has no vectors to search with"
    );
}

#[test]
fn an_image_without_words_is_found_by_its_vector() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let picture = Item {
        id: "p".to_owned(),
        thumbnail: Some("p.png".to_owned()),
        ..Item::default()
    };
    index
        .add(
            std::slice::from_ref(&picture),
            Some(Vectors {
                values: &[0.0, 3.0],
                dims: 2,
            }),
            &Silent,
        )
        .unwrap();
    let query = Query {
        vector: Some(vec![0.0, 0.5]),
        ..Query::default()
    };
    let hits = index.search(&query).unwrap().hits;
    assert_eq!(
        (&hits[0].item, hits[0].passage.clone()),
        (&picture, crate::Passage::default())
    );
    assert!((hits[0].score - 1.0).abs() < 1e-6);
}

#[test]
fn what_is_no_index_is_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        Index::open(dir.path()),
        Err(SearchError::NotIndex { .. })
    ));
    Index::create(
        dir.path(),
        Settings {
            language: Language::Plain,
            model: "m".to_owned(),
            ..Settings::default()
        },
    )
    .unwrap();
    assert!(matches!(
        Index::create(dir.path(), Settings::default()),
        Err(SearchError::Exists { .. })
    ));
    assert_eq!(Index::open(dir.path()).unwrap().settings().model, "m");
    let meta = dir.path().join("meta.json");
    let newer = fs::read_to_string(&meta)
        .unwrap()
        .replace("\\\"format\\\":1", "\\\"format\\\":9");
    fs::write(&meta, newer).unwrap();
    assert!(matches!(
        Index::open(dir.path()),
        Err(SearchError::Format {
            found: 9,
            known: 1,
            ..
        })
    ));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(
        Index::create(&file, Settings::default()),
        Err(SearchError::File { .. })
    ));
}

#[test]
fn a_stop_changes_nothing() {
    struct Stop;
    impl Watch for Stop {
        fn stopped(&self) -> bool {
            true
        }
        fn step(&self, _: usize, _: usize, _: &str) {}
    }
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    assert!(matches!(
        index.add(&[item("a", "x")], None, &Stop),
        Err(SearchError::Stopped)
    ));
    index.reload().unwrap();
    assert_eq!(index.stats().n_items, 0);
    index.add(&[item("a", "x")], None, &Silent).unwrap();
}

mod damage;
mod fields;
mod graph;
mod kill;
mod replaced;
