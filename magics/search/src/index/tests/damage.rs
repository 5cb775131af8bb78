//! Files that are not what they should be are named.

use super::*;

#[test]
fn damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut index = Index::create(dir.path(), Settings::default()).unwrap();
    let values = random(50, 16, 1);
    let items: Vec<Item> = (0..50).map(|i| item(&format!("{i}"), "text")).collect();
    index
        .add(
            &items,
            Some(Vectors {
                values: &values,
                dims: 16,
            }),
            &Silent,
        )
        .unwrap();
    let path = dir.path().join("vectors/000001.vec");
    let whole = fs::read(&path).unwrap();
    let error = |bytes: &[u8]| {
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        let error = Index::open(dir.path())
            .and_then(|index| index.verify())
            .unwrap_err();
        assert!(error.to_string().contains("000001.vec"), "{error}");
        error.to_string()
    };
    assert!(error(&whole[..whole.len() - 1]).contains("bytes of"));
    let mut flipped = whole.clone();
    flipped[2000] ^= 1;
    assert!(error(&flipped).contains("checksum"));
    flipped.clone_from(&whole);
    flipped[13] ^= 1;
    assert!(error(&flipped).contains("header"));
    fs::remove_file(&path).unwrap();
    assert!(
        Index::open(dir.path())
            .unwrap_err()
            .to_string()
            .contains("it is missing")
    );
    fs::write(&path, &whole).unwrap();
    Index::open(dir.path()).unwrap().verify().unwrap();

    let postings = fs::read_dir(dir.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.path());
    let postings = postings
        .filter(|path| path.extension().is_some_and(|e| e == "store"))
        .min()
        .unwrap();
    let mut bytes = fs::read(&postings).unwrap();
    bytes[3] ^= 1;
    fs::remove_file(&postings).unwrap();
    fs::write(&postings, bytes).unwrap();
    let error = Index::open(dir.path())
        .and_then(|index| index.verify())
        .unwrap_err();
    assert!(
        matches!(&error, SearchError::Damaged { path, .. } if *path == postings),
        "{error}"
    );
}
