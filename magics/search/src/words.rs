//! Search by words: BM25 over titles and texts (Robertson & Zaragoza 2009, k1 = 1.2, b = 0.75).

mod rank;

use tantivy::query::{BooleanQuery, BoostQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::{
    FAST, Field, IndexRecordOption, JsonObjectOptions, STORED, STRING, Schema, TextFieldIndexing,
    TextOptions,
};
use tantivy::tokenizer::{
    AsciiFoldingFilter, Language as Stems, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer,
    TextAnalyzer,
};
use tantivy::{Index, Term};

use crate::settings::Language;
pub(crate) use rank::ranked;

/// Name under which the analyser is known to the word index.
const ANALYZER: &str = "words";
/// Longer tokens are no words.
const LONGEST_WORD: usize = 100;
/// What a phrase counts beside its words.
const PHRASE_BOOST: f32 = 2.0;
/// Words that say nothing in a question; the list of Lucene's English analyser and the question words.
const STOP_WORDS: &[&str] = &[
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "did", "do", "does", "for", "from",
    "had", "has", "have", "how", "if", "in", "into", "is", "it", "its", "no", "not", "of", "on",
    "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was",
    "were", "what", "when", "where", "which", "who", "whom", "whose", "why", "will", "with",
];

/// The fields of the word index.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    pub(crate) schema: Schema,
    /// Names the item; what is deleted is deleted by it.
    pub(crate) id: Field,
    /// Number of the item, which vectors are stored under; never used twice.
    pub(crate) row: Field,
    /// Tells whether an item has changed.
    pub(crate) digest: Field,
    /// Title and text.
    pub(crate) words: Field,
    /// For filters.
    pub(crate) title: Field,
    /// For filters.
    pub(crate) source: Field,
    /// For filters: `f0`, `f1`, … in the order of the index's fields.
    pub(crate) fields: Field,
    /// The item itself as JSON.
    pub(crate) item: Field,
}

impl Columns {
    pub(crate) fn new() -> Self {
        let mut schema = Schema::builder();
        let indexing = TextFieldIndexing::default()
            .set_tokenizer(ANALYZER)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let column = || TextOptions::default().set_fast("raw");
        let id = schema.add_text_field("id", STRING | FAST);
        let row = schema.add_u64_field("row", FAST);
        let digest = schema.add_u64_field("digest", FAST);
        let words = schema.add_text_field(
            "words",
            TextOptions::default().set_indexing_options(indexing),
        );
        let title = schema.add_text_field("title", column());
        let source = schema.add_text_field("source", column());
        let fields = schema.add_json_field("fields", JsonObjectOptions::default().set_fast("raw"));
        let item = schema.add_bytes_field("item", STORED);
        Self {
            schema: schema.build(),
            id,
            row,
            digest,
            words,
            title,
            source,
            fields,
            item,
        }
    }
}

/// Splits texts into words: small letters, no accents, English stems if wanted.
pub(crate) fn analyzer(language: Language) -> TextAnalyzer {
    let plain = TextAnalyzer::builder(SimpleTokenizer::default())
        .filter(RemoveLongFilter::limit(LONGEST_WORD))
        .filter(LowerCaser)
        .filter(AsciiFoldingFilter);
    match language {
        Language::English => plain.filter(Stemmer::new(Stems::English)).build(),
        Language::Plain => plain.build(),
    }
}

/// Tells an opened word index how words are made.
pub(crate) fn register(index: &Index, language: Language) {
    index.tokenizers().register(ANALYZER, analyzer(language));
}

/// What a user asks for: words, and phrases that stood in double quotes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Asked {
    /// Distinct words as the analyser makes them, in the order of the question.
    pub(crate) words: Vec<String>,
    /// Their phrases, each at least two words with their places.
    pub(crate) phrases: Vec<Vec<(usize, String)>>,
}

impl Asked {
    /// Reads a question; there is no syntax to get wrong. Stop words count only where there is nothing else.
    pub(crate) fn read(text: &str, language: Language) -> Self {
        let text = text.replace(['“', '”', '„'], "\"");
        let mut asked = Self::default();
        let mut stopped = Vec::new();
        for (i, part) in text.split('"').enumerate() {
            let tokens = tokens(part, language);
            // An odd part stands between quotes, if its closing quote is there.
            let quoted = i % 2 == 1 && text.split('"').count() > i + 1;
            for (_, word, raw) in &tokens {
                let stop = language == Language::English && STOP_WORDS.contains(&raw.as_str());
                let list = if stop { &mut stopped } else { &mut asked.words };
                if !list.contains(word) {
                    list.push(word.clone());
                }
            }
            if quoted && tokens.len() > 1 {
                asked
                    .phrases
                    .push(tokens.into_iter().map(|(at, word, _)| (at, word)).collect());
            }
        }
        if asked.words.is_empty() {
            asked.words = stopped;
        }
        asked
    }

    /// The query to the word index: any word counts, and phrases must be there.
    pub(crate) fn query(&self, columns: &Columns) -> Box<dyn Query> {
        let term = |word: &String| Term::from_field_text(columns.words, word);
        let mut clauses: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in &self.words {
            let query = TermQuery::new(term(word), IndexRecordOption::WithFreqs);
            clauses.push((Occur::Should, Box::new(query)));
        }
        for phrase in &self.phrases {
            let places = phrase.iter().map(|(at, word)| (*at, term(word))).collect();
            let query =
                BoostQuery::new(Box::new(PhraseQuery::new_with_offset(places)), PHRASE_BOOST);
            clauses.push((Occur::Must, Box::new(query)));
        }
        Box::new(BooleanQuery::new(clauses))
    }
}

/// Place, form for the index and small-letter form of each word.
fn tokens(text: &str, language: Language) -> Vec<(usize, String, String)> {
    let mut analyzer = analyzer(language);
    let mut stream = analyzer.token_stream(text);
    let mut tokens = Vec::new();
    while let Some(token) = stream.next() {
        let raw = text[token.offset_from..token.offset_to].to_lowercase();
        tokens.push((token.position, token.text.clone(), raw));
    }
    tokens
}

/// Bytes in `text` of each word that is asked for, with the number of the word.
pub(crate) fn find(
    text: &str,
    asked: &Asked,
    language: Language,
) -> Vec<(std::ops::Range<usize>, usize)> {
    let mut analyzer = analyzer(language);
    let mut stream = analyzer.token_stream(text);
    let mut found = Vec::new();
    while let Some(token) = stream.next() {
        if let Some(word) = asked.words.iter().position(|word| *word == token.text) {
            found.push((token.offset_from..token.offset_to, word));
        }
    }
    found
}

pub(crate) const ROW_COLUMN: &str = "row";
pub(crate) const DIGEST_COLUMN: &str = "digest";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_words_and_phrases() {
        let asked = Asked::read(
            "What is the \"Electric Lines\" of Zürich's trams?",
            Language::English,
        );
        assert_eq!(asked.words, ["electr", "line", "zurich", "s", "tram"]);
        assert_eq!(
            asked.phrases,
            [[(0, "electr".to_owned()), (1, "line".to_owned())]]
        );
        let asked = Asked::read("to be or not to be", Language::English);
        assert_eq!(asked.words, ["to", "be", "or", "not"]);
    }

    #[test]
    fn no_punctuation_is_an_error() {
        for text in [
            "AND OR NOT (",
            "a:b^2 ~ \"unclosed quote",
            "title:[x TO y}",
            "\"\"",
            "+-&&||!(){}[]^\"~*?:\\/",
            "",
            "“”",
        ] {
            let asked = Asked::read(text, Language::English);
            assert!(asked.phrases.is_empty(), "{text}: {asked:?}");
            asked.query(&Columns::new());
        }
    }
}
