//! Charts from end to end: what a bundle gains.

use super::*;
use expect_test::expect;

fn enriched(plot: Value) -> Map<String, Value> {
    let mut bundle = Map::new();
    bundle.insert(PLOTLY.to_owned(), plot);
    enrich(&mut bundle);
    bundle
}

#[test]
fn a_chart_gains_a_picture_html_and_words() {
    let bundle = enriched(json!({
        "data": [
            {"type": "bar", "orientation": "h", "x": [3, 12], "y": ["moon", "tide"], "name": "relations"},
        ],
        "layout": {"title": {"text": "Hubs"}, "xaxis": {"title": {"text": "count"}}, "height": 300},
    }));
    expect![[r"
        Hubs
          relations: bar, 2 values
          x (count): 0 to 12
          y: 2 names: moon, tide"]]
    .assert_eq(bundle["text/plain"].as_str().unwrap());
    let svg = bundle["image/svg+xml"].as_str().unwrap();
    assert!(
        svg.contains("viewBox=\"0 0 720 300\"")
            && svg.contains("data-tip=\"relations&#10;tide&#10;12\""),
        "{svg}"
    );
    let html = bundle["text/html"].as_str().unwrap();
    assert!(
        html.contains("<img class=\"mlk8s-static\" width=\"720\"") && !html.contains("FIGURE_ID")
    );
    assert!(bundle.contains_key(PLOTLY));
}

#[test]
fn what_surrounds_the_values_takes_the_colours_of_the_page() {
    let bar = json!({"type": "bar", "x": ["a"], "y": [2], "text": ["two"], "name": "n"});
    let bundle = enriched(json!({
        "data": [bar, bar],
        "layout": {"title": {"text": "t"}, "xaxis": {"title": {"text": "x"}}, "yaxis": {"title": {"text": "y"}}},
    }));
    let svg = bundle["image/svg+xml"].as_str().unwrap();
    for (kind, colour) in [
        ("card", "#fcfcfd"),
        ("ink", "#1d2530"),
        ("word", "#3d4852"),
        ("soft", "#5b6673"),
    ] {
        let [fill, class] = [
            format!("fill=\"{colour}\""),
            format!("class=\"mlk8s-{kind}\" "),
        ];
        let before: Vec<&str> = svg.split(&*fill).collect();
        assert!(before.len() > 1, "{colour} {svg}");
        for piece in &before[..before.len() - 1] {
            assert!(piece.ends_with(&*class), "{colour} {svg}");
        }
        let rule = format!(".mlk8s-chart .mlk8s-{kind}{{fill:var(--mlk8s-");
        assert!(bundle["text/html"].as_str().unwrap().contains(&rule));
    }
}

#[test]
fn other_bundles_stay_as_they_are() {
    let mut bundle = Map::new();
    bundle.insert("text/plain".to_owned(), json!("7"));
    let before = bundle.clone();
    enrich(&mut bundle);
    assert_eq!(bundle, before);
    bundle.insert("text/html".to_owned(), json!("<b>"));
    bundle.insert(PLOTLY.to_owned(), json!({}));
    let before = bundle.clone();
    enrich(&mut bundle);
    assert_eq!(bundle, before);
}

#[test]
fn what_is_not_drawn_is_said() {
    let bundle = enriched(json!({"data": [{"type": "sankey</svg>"}], "layout": {}}));
    expect![[r"
        Chart
          not drawn here: a trace of type `sankey</svg>`
          `pip install plotly` in the notebook's environment draws it"]]
    .assert_eq(bundle["text/plain"].as_str().unwrap());
    let html = bundle["text/html"].as_str().unwrap();
    assert!(
        html.contains("`sankey&lt;/svg&gt;`; <code>pip install plotly</code>"),
        "{html}"
    );
    assert_eq!(
        bundle["image/svg+xml"]
            .as_str()
            .unwrap()
            .matches("</svg>")
            .count(),
        1
    );
}

#[test]
fn no_word_of_a_chart_is_markup() {
    let evil = "</svg></title><script>x</script>\"' onload=";
    let axis =
        json!({"title": {"text": evil}, "tickprefix": evil, "ticktext": [evil], "tickvals": [1]});
    for kind in ["bar", "scatter", "histogram", "box", "pie", "heatmap", evil] {
        let trace = json!({
            "type": kind, "x": [evil, "b"], "y": [1, 2], "z": [[1, 2]], "labels": [evil], "values": [1], "name": evil,
            "text": [evil, evil], "mode": "lines+markers+text", "hole": 0.5, "marker": {"color": evil},
            "line": {"color": evil, "dash": evil}, "colorbar": {"title": {"text": evil}},
        });
        let layout = json!({"title": evil, "xaxis": axis, "yaxis": axis, "showlegend": true});
        let bundle = enriched(json!({"data": [trace, trace], "layout": layout}));
        let svg = bundle["image/svg+xml"].as_str().unwrap();
        assert!(
            !svg.contains("<script") && !svg.contains("\"' onload"),
            "{svg}"
        );
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        assert_eq!(
            bundle["text/html"]
                .as_str()
                .unwrap()
                .matches("</script>")
                .count(),
            2
        );
    }
}

#[test]
fn nonsense_gives_a_picture_too() {
    let odd = [
        json!(null),
        json!("{"),
        json!({"data": 7, "layout": []}),
        json!({"data": [{}], "layout": {"width": -5, "height": 1e300}}),
        json!({"data": [{"type": "bar", "x": [], "y": [null]}], "layout": {"xaxis": {"type": "log"}}}),
        json!({"data": [{"type": "bar", "y": [1e308, -1e308]}], "layout": {"yaxis": {"range": [1, 1]}}}),
        json!({"data": [{"type": "histogram", "x": [5]}, {"type": "histogram", "x": [1e300, -1e300]}]}),
        json!({"data": [{"type": "scatter", "x": ["2024-01-01", "9999-12-31"], "y": [0, -1]}], "layout": {"yaxis": {"type": "log"}}}),
        json!({"data": [{"type": "pie", "values": [0]}]}),
        json!({"data": [{"type": "heatmap", "z": []}, {"type": "box"}]}),
        json!({"data": [{"type": "heatmap", "z": [1, [2, null]], "x": ["a"]}]}),
    ];
    for plot in odd {
        let bundle = enriched(plot.clone());
        let svg = bundle["image/svg+xml"].as_str().unwrap();
        assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{plot} {svg}");
    }
}
