//! An index that stays open while another one takes its place.

use super::*;

#[test]
fn a_reload_finds_the_index_that_took_the_place() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("index");
    let filled = |language: Language, text: &str| {
        let settings = Settings {
            language,
            ..Settings::default()
        };
        let mut index = Index::create(&dir, settings).unwrap();
        index.add(&[item("a", text)], None, &Silent).unwrap();
    };
    filled(Language::English, "dogs");
    let mut index = Index::open(&dir).unwrap();
    assert!(!index.reload().unwrap());
    assert_eq!(ids(&index, &words("dog")), ["a"]);
    fs::remove_dir_all(&dir).unwrap();
    assert!(index.reload().is_err());
    filled(Language::Plain, "cats");
    assert!(index.reload().unwrap());
    assert_eq!(ids(&index, &words("cats")), ["a"]);
    // The words are those of the new language, too: without stems.
    assert!(ids(&index, &words("cat")).is_empty());
}
