//! The graph, the table and the answers of the sample documents.

use crate::error::GraphError;
use crate::picture::{PictureOptions, picture};
use crate::sample::index;
use crate::{AskOptions, Near};

#[test]
fn the_graph_joins_what_the_documents_say() {
    let index = index();
    let graph = index.graph();
    let mut relations: Vec<String> = graph
        .edge_indices()
        .map(|edge| {
            let (from, to) = graph.edge_endpoints(edge).unwrap();
            format!(
                "{} | {} | {}",
                graph[from].name, graph[edge].predicate, graph[to].name
            )
        })
        .collect();
    relations.sort();
    for wanted in [
        "Larry Page | founded | Google",
        "Metaweb | built | Freebase",
        "Google | acquired | Metaweb",
    ] {
        assert!(
            relations.iter().any(|relation| relation == wanted),
            "{relations:#?}"
        );
    }
    let google = graph
        .node_weights()
        .find(|entity| entity.name == "Google")
        .unwrap();
    assert_eq!((google.mentions, google.documents), (3, 2));
    let stats = index.stats();
    assert_eq!(
        (stats.documents, stats.entities, stats.relations),
        (4, graph.node_count(), graph.edge_count())
    );
    assert!(stats.components >= 2 && stats.communities >= 2, "{stats:?}");
}

#[test]
fn every_triple_leads_back_to_its_sentence() {
    let index = index();
    let triples = index.triples();
    assert_eq!(triples.height(), index.stats().triples);
    let names: Vec<_> = triples
        .get_column_names()
        .into_iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        names.join(","),
        "document,title,subject,relation,object,subject_entity,object_entity,confidence,engine,sentence,start,end"
    );
    let source = index
        .graph()
        .edge_weights()
        .flat_map(|relation| &relation.sources)
        .next()
        .unwrap();
    let text = crate::sample::documents()
        .into_iter()
        .find(|d| d.id == source.document)
        .unwrap()
        .text;
    assert_eq!(
        &text[source.start as usize..source.end as usize],
        source.sentence
    );
}

#[test]
fn an_acronym_in_a_question_is_understood() {
    let answer = index().ask(
        "What benchmarks can we use for QA?",
        &AskOptions::default(),
        &[],
    );
    let linked: Vec<_> = answer
        .linked
        .iter()
        .map(|link| link.entity.as_str())
        .collect();
    assert!(
        linked
            .iter()
            .any(|name| name.eq_ignore_ascii_case("question answering")),
        "{linked:?}"
    );
    assert_eq!(answer.fallback, None);
    assert_eq!(answer.guided[0].title, "Question answering");
    assert!(
        answer.guided[0]
            .sentences
            .iter()
            .any(|s| s.text.contains("SQuAD"))
    );
    for (number, evidence) in answer.guided.iter().enumerate() {
        assert_eq!(evidence.citation, number + 1);
        for sentence in &evidence.sentences {
            assert!(
                sentence
                    .marked
                    .iter()
                    .all(|mark| sentence.text.get(mark.clone()).is_some())
            );
            assert!(
                sentence
                    .triples
                    .iter()
                    .all(|&triple| triple < answer.triples.len())
            );
        }
    }
}

#[test]
fn two_steps_lead_from_a_name_to_what_is_linked_with_it() {
    let answer = index().ask(
        "Who founded the company that acquired Metaweb?",
        &AskOptions::default(),
        &[],
    );
    let titles: Vec<_> = answer
        .guided
        .iter()
        .map(|evidence| evidence.title.as_str())
        .collect();
    assert_eq!(titles[..2], ["Graphs", "PageRank"]);
}

#[test]
fn what_a_triple_states_comes_before_what_only_mentions_it() {
    let answer = index().ask("Who founded Google?", &AskOptions::default(), &[]);
    assert_eq!(answer.guided[0].title, "PageRank");
    assert_eq!(
        answer.guided[0].sentences[0].text,
        "Larry Page founded Google."
    );
}

#[test]
fn without_a_link_plain_word_search_answers_alone() {
    let answer = index().ask("Why does it melt?", &AskOptions::default(), &[]);
    assert!(answer.linked.is_empty() && answer.fallback.is_some());
    assert_eq!(answer.guided[0].title, "Metal");
    assert_eq!(answer.guided, answer.plain);
    let nothing = index().ask("?", &AskOptions::default(), &[]);
    assert!(nothing.guided.is_empty() && nothing.triples.is_empty());
}

#[test]
fn what_is_near_in_meaning_counts_beside_words_and_names() {
    let index = index();
    let passages: Vec<_> = index.passages().collect();
    assert!(passages.is_sorted() && passages.len() >= 4);
    let near = |best: &str| -> Vec<Near> {
        let cosine = |title: &str| if title == best { 0.6 } else { 0.2 };
        let told = passages.iter().map(|passage| Near {
            passage: passage.id(),
            similarity: cosine(passage.title),
        });
        // What the graph has never heard of counts for nothing.
        let unknown = ["nobody:0", ""].map(|id| Near {
            passage: id.to_owned(),
            similarity: 0.9,
        });
        told.chain(unknown).collect()
    };
    let first = |question: &str, near: &[Near]| {
        let answer = index.ask(question, &AskOptions::default(), near);
        let title = answer.guided.first().map(|evidence| evidence.title.clone());
        (title.unwrap_or_default(), answer)
    };
    // Not one word of it is in the documents.
    let (_, without) = first("Whence came search engines?", &[]);
    assert!(without.guided.is_empty() || without.fallback.is_some());
    let (title, with) = first("Whence came search engines?", &near("PageRank"));
    assert_eq!(title, "PageRank");
    assert!(with.fallback.is_some_and(|why| why.contains("meaning")));
    assert_eq!(with.plain, without.plain);
    // Names lead; meaning alone does not override what is stated.
    let (title, _) = first("Who founded Google?", &near("Metal"));
    assert_eq!(title, "PageRank");
}

#[test]
fn a_picture_shows_the_best_connected_and_says_what_is_missing() {
    let index = index();
    let graph = index.graph();
    let all = picture(graph, &PictureOptions::default()).unwrap();
    assert!(
        all.nodes.len() > 8 && all.left_out.components == 0,
        "{:?}",
        all.left_out
    );
    let few = picture(
        graph,
        &PictureOptions {
            limit: 4,
            ..PictureOptions::default()
        },
    )
    .unwrap();
    assert!(few.nodes.len() <= 4 && !few.edges.is_empty());
    assert_eq!(few.nodes.len() + few.left_out.nodes, graph.node_count());
    assert_eq!(few.edges.len() + few.left_out.edges, graph.edge_count());
    assert!(
        few.left_out.to_string().starts_with("not shown: "),
        "{}",
        few.left_out
    );
}

#[test]
fn a_picture_around_a_term_knows_other_ways_of_writing_it() {
    let index = index();
    let around = |term: &str, hops| {
        let options = PictureOptions {
            around: Some(term.to_owned()),
            hops,
            ..PictureOptions::default()
        };
        picture(index.graph(), &options)
    };
    for term in ["Google", "google", "the Google"] {
        let shown = around(term, 1).unwrap();
        assert_eq!(shown.centre.as_deref(), Some("Google"));
        assert!(shown.nodes.iter().any(|node| node.name == "Metaweb"));
        assert!(shown.nodes.iter().all(|node| node.name != "Freebase"));
    }
    assert!(
        around("Google", 2)
            .unwrap()
            .nodes
            .iter()
            .any(|node| node.name == "Freebase")
    );
    assert!(around("auto", 1).unwrap().centre.is_some());
    let Err(error) = around("Gogle", 1) else {
        panic!("found")
    };
    assert!(
        matches!(&error, GraphError::NotFound { nearest, .. } if nearest[0] == "Google"),
        "{error:?}"
    );
    assert!(error.hint().starts_with("did you mean `Google`"));
}
