//! A treebank of three sentences.

use super::*;
use crate::tagger::Tagger;

fn lessons() -> Vec<TaggedSentence> {
    let text = [
        "the/DET/DT cat/NOUN/NN sees/VERB/VBZ a/DET/DT dog/NOUN/NN",
        "a/DET/DT dog/NOUN/NN sees/VERB/VBZ the/DET/DT bird/NOUN/NN",
        "the/DET/DT bird/NOUN/NN sings/VERB/VBZ",
    ];
    let sentence = |line: &&str| {
        let mut sentence = TaggedSentence::default();
        for word in line.split(' ') {
            let parts: Vec<&str> = word.split('/').collect();
            assert!(sentence.push(parts[0], parts[1], parts[2]));
        }
        sentence
    };
    text.iter().map(sentence).collect()
}

#[test]
fn same_lessons_same_bytes_and_lessons_are_learnt() {
    let recipe = Recipe {
        min_word_count: 1,
        veil: 0.0,
        ..Recipe::default()
    };
    let bytes = train(&lessons(), &recipe, &mut |_| {});
    assert_eq!(bytes, train(&lessons(), &recipe, &mut |_| {}));
    let tagger = Tagger::from_bytes(&bytes).unwrap();
    let tags = tagger.tag(&["the", "dog", "sings"]);
    assert_eq!(tags, [Tag::Det, Tag::Noun, Tag::Verb]);
}

#[test]
fn unknown_tags_are_refused() {
    assert!(!TaggedSentence::default().push("word", "NOUNS", "NN"));
}
