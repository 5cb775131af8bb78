//! Every kind of view as a bundle, with documents that mean harm.

use mlk8s_catalog::view::{
    AnswerView, CloudView, CloudWord, Column, EdgeView, EvidenceView, GraphView, MarkedText,
    NodeView, SourceView, Table, TripleView, View,
};

use super::bundle;

const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=\"alert('2')\">]]>\u{2028}\0\u{1b}[2J<!--";

fn evil() -> String {
    EVIL.to_owned()
}

fn graph() -> GraphView {
    let node = |x| NodeView {
        name: evil(),
        aliases: vec![evil()],
        x,
        degree: 1,
        ..NodeView::default()
    };
    let source = SourceView {
        title: evil(),
        sentence: evil(),
    };
    let edge = EdgeView {
        to: 1,
        predicate: evil(),
        count: 1,
        sources: vec![source],
        ..EdgeView::default()
    };
    GraphView {
        wording: mlk8s_catalog::view::Wording::Knowledge,
        title: evil(),
        nodes: vec![node(0.0), node(1.0)],
        edges: vec![edge],
        left_out: evil(),
        n_communities: 1,
    }
}

fn answer() -> AnswerView {
    let sentence = MarkedText {
        text: evil(),
        marked: std::iter::once(0..9).collect(),
    };
    let piece = EvidenceView {
        citation: 1,
        title: evil(),
        source: evil(),
        sentences: vec![sentence],
    };
    AnswerView {
        question: evil(),
        linked: vec![evil()],
        guided: vec![piece.clone()],
        plain: vec![piece],
        triples: vec![TripleView {
            subject: evil(),
            relation: evil(),
            object: evil(),
            citation: 1,
        }],
        remark: evil(),
    }
}

fn views() -> Vec<View> {
    let table = Table {
        title: evil(),
        columns: vec![Column::text(EVIL)],
        rows: vec![vec![evil()]],
        note: evil(),
    };
    let word = CloudWord {
        text: evil(),
        size: 9.0,
        ..CloudWord::default()
    };
    vec![
        View::Table(table),
        View::Graph(Box::new(graph())),
        View::Answer(Box::new(answer())),
        View::Cloud(CloudView {
            title: evil(),
            width: 300.0,
            height: 200.0,
            words: vec![word],
        }),
    ]
}

#[test]
fn documents_never_become_markup() {
    for view in views() {
        let bundle = bundle(&view);
        for (mime, content) in bundle.iter().filter(|(mime, _)| *mime != "text/plain") {
            let content = content.as_str().unwrap();
            for wrong in ["<script>alert", "<img src=x", "]]>", "<!--", "\0", "\u{1b}"] {
                assert!(!content.contains(wrong), "{mime} holds {wrong:?}");
            }
        }
        assert!(
            !bundle["text/plain"]
                .as_str()
                .unwrap()
                .contains(['\0', '\u{1b}'])
        );
    }
}

#[test]
fn every_bundle_has_text_and_html_and_none_has_json() {
    for view in views() {
        let bundle = bundle(&view);
        assert!(bundle.contains_key("text/plain") && bundle.contains_key("text/html"));
        assert!(!bundle.contains_key("application/json"));
        let picture = matches!(view, View::Graph(_) | View::Cloud(_));
        assert_eq!(bundle.contains_key("image/svg+xml"), picture);
    }
}

#[test]
fn a_figure_is_static_first_and_its_scripts_are_two() {
    let bundle = bundle(&View::Graph(Box::new(graph())));
    let html = bundle["text/html"].as_str().unwrap();
    let image = html.find("<img class=\"mlk8s-static\"").unwrap();
    let table = html.find("<details>").unwrap();
    assert!(image < table && table < html.find("<script").unwrap());
    assert_eq!(html.matches("<script").count(), 2);
    assert_eq!(html.matches("</script>").count(), 2);
    assert!(!html.contains("FIGURE_ID"));
}

#[test]
fn a_graph_whose_colours_mean_other_things_speaks_of_no_communities() {
    let html = |n_communities| {
        let graph = GraphView {
            n_communities,
            ..graph()
        };
        let bundle = bundle(&View::Graph(Box::new(graph)));
        bundle["text/html"].as_str().unwrap().to_owned()
    };
    assert!(html(2).contains("1 relation, 2 communities") && html(2).contains("\"grouped\":true"));
    assert!(!html(0).contains("communities<") && html(0).contains("\"grouped\":false"));
}

#[test]
fn the_same_view_gives_the_same_bundle() {
    for view in views() {
        assert_eq!(bundle(&view), bundle(&view));
    }
}

#[test]
fn the_script_is_small_and_stands_alone() {
    let bundle = bundle(&View::Graph(Box::new(graph())));
    let script = bundle["text/html"]
        .as_str()
        .unwrap()
        .rsplit("<script>")
        .next()
        .unwrap();
    assert!(script.len() < 20_500, "{} bytes", script.len());
    for wrong in [
        "innerHTML",
        "insertAdjacentHTML",
        "document.write",
        "http://",
        "https://",
        "import ",
        "require(",
    ] {
        let harmless = script.replace("http://www.w3.org/2000/svg", "");
        assert!(!harmless.contains(wrong), "{wrong}");
    }
}

#[test]
fn a_graph_without_entities_is_a_picture_without_a_script() {
    let bundle = bundle(&View::Graph(Box::default()));
    assert!(!bundle["text/html"].as_str().unwrap().contains("<script"));
}

#[test]
fn nothing_has_no_bundle_and_a_stack_is_one_page() {
    assert!(bundle(&View::Nothing).is_empty());
    let stack = View::Stack(vec![
        View::Text("a < b".to_owned()),
        View::Nothing,
        View::Markdown("# c".to_owned()),
    ]);
    let bundle = bundle(&stack);
    assert_eq!(bundle["text/html"], "<pre>a &lt; b</pre>\n<h1>c</h1>\n");
    assert_eq!(bundle["text/plain"], "a < b\n\n# c");
}
