//! What small sentences say.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use super::analyse;

fn check(sentence: &str, expected: &Expect) {
    let analysis = analyse(sentence);
    let mut text = String::new();
    for triple in &analysis.triples {
        let object = &sentence[triple.object.clone()];
        let _ = write!(
            text,
            "{} | {} | {object}",
            &sentence[triple.subject.clone()],
            triple.relation
        );
        if let Some(adverbial) = &triple.adverbial {
            let _ = write!(text, " | {}", &sentence[adverbial.clone()]);
        }
        text.push('\n');
    }
    let names: Vec<String> = analysis
        .mentions
        .iter()
        .map(|mention| format!("{}{}", mention.name, if mention.proper { "*" } else { "" }))
        .collect();
    let _ = writeln!(text, "[{}]", names.join(", "));
    expected.assert_eq(&text);
}

#[test]
fn subjects_are_shared() {
    check(
        "Marie Curie discovered radium and won two Nobel prizes.",
        &expect![[r"
            Marie Curie | discovered | radium
            Marie Curie | won | two Nobel prizes
            [Marie Curie*, radium, Nobel prizes]
        "]],
    );
    check(
        "The samples were washed with water, dried and weighed on a balance.",
        &expect![[r"
            The samples | were washed with | water
            The samples | weighed on | a balance
            [samples, water, balance]
        "]],
    );
}

#[test]
fn relative_clauses_and_participles() {
    check(
        "The kernel runs cells that users write in a browser.",
        &expect![[r"
            The kernel | runs | cells
            users | write in | a browser
            [kernel, cells, users, browser]
        "]],
    );
    check(
        "Sea otters eat sea urchins, which graze on kelp.",
        &expect![[r"
            Sea otters | eat | sea urchins
            sea urchins | graze on | kelp
            [Sea otters, sea urchins, kelp]
        "]],
    );
    check(
        "The telescope built by NASA observes galaxies.",
        &expect![[r"
            The telescope | was built by | NASA
            The telescope | observes | galaxies
            [telescope, NASA*, galaxies]
        "]],
    );
    check(
        "Founded in 1911, the company makes computers.",
        &expect![[r"
            the company | was founded in | 1911
            the company | makes | computers
            [company, computers]
        "]],
    );
}

#[test]
fn adverbials_come_first() {
    check(
        "In 1969, Apollo 11 landed on the Moon, and Neil Armstrong walked on it.",
        &expect![[r"
            Apollo 11 | landed on | the Moon | In 1969
            Neil Armstrong | walked on | it
            [Apollo 11, Moon, Neil Armstrong*]
        "]],
    );
    check(
        "On 1 July 1955 he was made an officer.",
        &expect![[r"
        he | was made | an officer | On 1 July 1955
        [officer]
    "]],
    );
}

#[test]
fn speech_and_thought() {
    check(
        "The bridge is safe, the engineers said.",
        &expect![[r"
        The bridge | is | safe
        the engineers | said | The bridge is safe
        [bridge, engineers]
    "]],
    );
    check(
        "“The test failed,” said Dr. Alice Meyer of ETH Zürich.",
        &expect![[r"
            Dr. Alice Meyer | said | “The test failed,”
            [test, Dr. Alice Meyer*, ETH Zürich*]
        "]],
    );
    check(
        "The committee found that the bridge had not been inspected.",
        &expect![[r"
            The committee | found | that the bridge had not been inspected
            [committee, bridge]
        "]],
    );
}

#[test]
fn noun_phrases_speak_too() {
    check(
        "Ada Lovelace, an English mathematician, described the engine.",
        &expect![[r"
            Ada Lovelace | described | the engine
            Ada Lovelace | is | an English mathematician
            [Ada Lovelace*, English mathematician, engine]
        "]],
    );
    check(
        "James Watt's condenser improved the engines.",
        &expect![[r"
            James Watt's condenser | improved | the engines
            James Watt | has | condenser
            [James Watt*, condenser, engines]
        "]],
    );
}

#[test]
fn negation_stays() {
    check(
        "Tardigrades do not breathe in space.",
        &expect![[r"
        Tardigrades | do not breathe in | space
        [Tardigrades, space]
    "]],
    );
    check(
        "The enzyme can't split cellulose.",
        &expect![[r"
        The enzyme | can't split | cellulose
        [enzyme, cellulose]
    "]],
    );
}

#[test]
fn mentions_leave_out_what_is_no_node() {
    check(
        "He studied at the University of Washington in July 2014 with Samuel Bowman of New York University.",
        &expect![[r"
            He | studied at | the University of Washington in July 2014 with Samuel Bowman of New York University
            [University of Washington*, Samuel Bowman*, New York University*]
        "]],
    );
    check(
        "As x = 3 in Table 2, Kahn's algorithm visits 12 nodes (see https://a.org).",
        &expect![[r"
            Kahn's algorithm | visits | 12 nodes
            [Kahn's algorithm, nodes]
        "]],
    );
}

#[test]
fn headings_say_nothing() {
    check(
        "Attention Is All You Need",
        &expect![[r"
        [Attention]
    "]],
    );
    check(
        "2.1 Related Work",
        &expect![[r"
        [Related Work]
    "]],
    );
    check(
        "",
        &expect![[r"
        []
    "]],
    );
}

#[test]
fn members_of_a_coordinated_subject_are_all_heads() {
    let sentence = "Pierre Curie and Marie Curie discovered polonium.";
    let analysis = analyse(sentence);
    let heads: Vec<&str> = analysis.triples[0]
        .subject_mentions
        .iter()
        .map(|&i| analysis.mentions[i].name.as_str())
        .collect();
    assert_eq!(heads, ["Pierre Curie", "Marie Curie"]);
}

#[test]
fn ranges_lie_on_character_boundaries_of_any_text() {
    let texts = [
        "ﬁrst “Ünïcode” — naïve café’s rôle… (日本) is 5€ of the *total* — which, who, that.",
        "that that which is is",
        ", , and",
    ];
    for text in texts {
        let analysis = analyse(text);
        for triple in &analysis.triples {
            let ranges = [&triple.subject, &triple.relation_span, &triple.object];
            assert!(
                ranges
                    .into_iter()
                    .chain(&triple.adverbial)
                    .all(|range| text.get(range.clone()).is_some())
            );
            assert!((0.0..=1.0).contains(&triple.confidence));
        }
        assert!(
            analysis
                .mentions
                .iter()
                .all(|mention| text.get(mention.range.clone()).is_some())
        );
    }
}
