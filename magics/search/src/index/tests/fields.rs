//! Filters over an index of many segments.

use super::*;
use crate::Date;

#[test]
fn fields_are_filtered_whatever_the_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let mut expected = Vec::new();
    for i in 0..40_u32 {
        let mut one = item(&format!("i{i:02}"), "same words");
        one.source = if i % 2 == 0 {
            "https://ArXiv.org/x"
        } else {
            "file.pdf"
        }
        .to_owned();
        one.fields.insert(
            "n".to_owned(),
            Value::Number(f64::from(i) + if i > 30 { 0.5 } else { 0.0 }),
        );
        one.fields.insert(
            "day".to_owned(),
            Value::Date(Date(i64::from(i) * 86_400 + 5)),
        );
        if i % 3 == 0 {
            one.fields
                .insert("my kind".to_owned(), Value::Text("bild".to_owned()));
            one.fields.insert("odd".to_owned(), Value::Bool(i % 2 == 1));
        }
        expected.push(one.id.clone());
        index.add(&[one], None, &Silent).unwrap();
    }
    index.remove(&["i06"]).unwrap();
    let check = |filter: &str, wanted: &dyn Fn(u32) -> bool| {
        let query = Query {
            filter: filter.to_owned(),
            top: 100,
            ..words("same")
        };
        let results = index.search(&query).unwrap();
        let wanted: Vec<String> = (0..40)
            .filter(|&i| i != 6 && wanted(i))
            .map(|i| expected[i as usize].clone())
            .collect();
        let found: Vec<String> = results.hits.iter().map(|hit| hit.item.id.clone()).collect();
        assert_eq!(found, wanted, "{filter}");
        assert_eq!((results.n_searched, results.n_items), (wanted.len(), 39));
    };
    check("n >= 10 and source ~ \"arxiv\"", &|i| i >= 10 && i % 2 == 0);
    check("n > 30.5 or n = 3", &|i| i >= 31 || i == 3);
    check("`my kind` = \"bild\"", &|i| i % 3 == 0);
    check("`my kind` != \"bild\"", &|i| i % 3 != 0);
    check("odd = true", &|i| i % 6 == 3);
    check("not odd exists", &|i| i % 3 != 0);
    check("day = 1970-01-05 or day < 1970-01-02", &|i| {
        i == 4 || i == 0
    });
    check("id in (\"i01\", \"i39\")", &|i| i == 1 || i == 39);
    check("id >= \"i35\" and source !~ \"ARXIV\"", &|i| {
        i >= 35 && i % 2 == 1
    });
    check("n < 0", &|_| false);
    assert!(index.check_filter("m > 3").is_err());
}

#[test]
fn what_is_refused_is_known_before_there_are_vectors() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let of_year = |id: &str, year: Value| Item {
        fields: std::collections::BTreeMap::from([("year".to_owned(), year)]),
        ..item(id, "words")
    };
    let vectors = Vectors {
        values: &[1.0, 0.0],
        dims: 2,
    };
    let first = of_year("a", Value::Number(2024.0));
    index.check_dims(3).unwrap();
    index.add(&[first], Some(vectors), &Silent).unwrap();
    let as_text = [of_year("a", Value::Text("2024".to_owned()))];
    let refused = index.check(&as_text, true).unwrap_err();
    assert!(
        matches!(refused, SearchError::FieldKind { .. }),
        "{refused}"
    );
    let later = index.add(&as_text, Some(vectors), &Silent).unwrap_err();
    assert_eq!(refused.to_string(), later.to_string());
    let number = |id: &str| of_year(id, Value::Number(2025.0));
    let twice = index.check(&[number("b"), number("c"), number("b")], true);
    assert!(matches!(
        twice,
        Err(SearchError::Duplicate {
            first: 0,
            second: 2,
            ..
        })
    ));
    index.check(&[number("b"), number("c")], true).unwrap();
    assert!(index.check(&[item("d", "")], false).is_err());
    index.check_dims(2).unwrap();
    let other = index.check_dims(3).unwrap_err();
    assert!(matches!(
        other,
        SearchError::Dims {
            found: 3,
            wanted: 2
        }
    ));
}
