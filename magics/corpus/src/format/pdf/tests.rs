//! The papers of `tests/fixtures/papers`, and PDFs that mean harm.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::furniture::{self, PageWords};
use super::{assemble, read};
use crate::clean::Draft;
use crate::document::Reason;
use crate::read::ReadOptions;
use crate::watch::Unwatched;

fn paper(name: &str) -> Vec<u8> {
    fs::read(papers().join(name)).unwrap()
}

fn papers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/papers")
}

fn cleaned(bytes: &[u8]) -> (Option<String>, String) {
    let extracted = read(bytes, &ReadOptions::default(), &Unwatched).unwrap();
    let (text, ..) = Draft::new(&extracted.original, extracted.marks).clean(&BTreeSet::new());
    (extracted.title, text)
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && c != '-');
    parts
        .map(|word| word.trim_matches('-').to_lowercase())
        .filter(|word| !word.is_empty())
        .collect()
}

/// Length of the longest common subsequence of words.
fn common(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for x in a {
        let mut diagonal = 0;
        for (at, y) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if x == y {
                diagonal + 1
            } else {
                above.max(row[at])
            };
            diagonal = above;
        }
    }
    row[b.len()]
}

/// Checks that a paper gives its running text in order, with little else, and its title.
#[track_caller]
fn check_paper(name: &str, running: &str, title: &str) {
    let (found_title, text) = cleaned(&paper(name));
    let running = fs::read_to_string(papers().join(running)).unwrap();
    let (wanted, found) = (words(&running), words(&text));
    let common = common(&wanted, &found) as f64;
    let (recall, precision) = (common / wanted.len() as f64, common / found.len() as f64);
    assert!(
        recall > 0.985,
        "recall {recall:.3} of the running text of `{name}`"
    );
    assert!(
        precision > 0.93,
        "precision {precision:.3} of the running text of `{name}`"
    );
    let found_title = found_title.map(|title| title.replace('\u{fb00}', "ff"));
    assert_eq!(found_title.as_deref(), Some(title));
}

#[test]
fn two_columns_in_reading_order() {
    let title = "Affine: Efficient Job Placement on Personal Clusters by Learned Affinity";
    check_paper("affinity-two-column.pdf", "affinity.running.txt", title);
    check_paper("affinity-one-column.pdf", "affinity.running.txt", title);
}

#[test]
fn a_conference_layout_in_reading_order() {
    let title = "Flow Control for Shared Storage in Offices: A Difficult Neighbour Problem";
    check_paper("flow-conference.pdf", "flow.running.txt", title);
}

#[test]
fn a_page_printed_by_a_browser_in_reading_order() {
    check_paper(
        "flow-browser.pdf",
        "flow.running.txt",
        "Flow Control for Shared Storage in Offices",
    );
}

#[test]
fn what_is_no_running_text_is_gone() {
    let (_, text) = cleaned(&paper("affinity-two-column.pdf"));
    for gone in [
        "Journal of Small Clusters",
        "Lindqvist",
        "Litzkow",
        "6,073",
        "rig3",
        "nordhavn.example",
        "[3, 6]",
        "mink",
        "months.1",
    ] {
        assert!(!text.contains(gone), "`{gone}` is still there");
    }
    for kept in [
        "Figure 1: Hours of computation on the four machines",
        "Table 1: Median",
        "The study was approved",
        "6 Conclusion",
    ] {
        assert!(text.contains(kept), "`{kept}` is missing");
    }
}

#[test]
fn words_are_whole() {
    let (_, text) = cleaned(&paper("affinity-two-column.pdf"));
    for whole in [
        "sufficient memory",
        "affinity coefficient",
        "offers",
        "field",
        "configuration files",
        "median completion",
        "k-means",
        "plug-ins",
    ] {
        assert!(text.contains(whole), "`{whole}` is missing");
    }
    assert!(text.contains("collaborative filtering and is closest to our work. Paragon profiles each new job for a minute"));
}

#[test]
fn the_order_of_drawing_does_not_matter() {
    let bytes = paper("affinity-two-column.pdf");
    let pdf = hayro_syntax::Pdf::new(bytes).unwrap();
    let read = || {
        super::pages(&pdf, &super::Budget::new(u64::MAX), &Unwatched)
            .unwrap()
            .0
    };
    let lay_out = |mut pages: Vec<PageWords>| {
        let furniture = furniture::take(&mut pages);
        assemble::assemble(pages, furniture).text
    };
    let mut shuffled = read();
    for page in &mut shuffled {
        let n_words = page.words.len();
        // Groups of words that touch stay together: they are one word with a raised sign.
        let mut groups: Vec<Vec<super::words::Word>> = Vec::with_capacity(n_words);
        for word in page.words.drain(..) {
            match groups.last_mut() {
                Some(group) if word.joined => group.push(word),
                _ => groups.push(vec![word]),
            }
        }
        groups.sort_by_key(|group| (group[0].x0 * 7919.0) as i64 % 1009);
        page.words = groups.into_iter().flatten().collect();
    }
    let (in_order, shuffled) = (lay_out(read()), lay_out(shuffled));
    let same = common(&words(&in_order), &words(&shuffled));
    assert!(
        same * 100 > words(&in_order).len() * 99,
        "{same} of {} words",
        words(&in_order).len()
    );
}

/// A PDF of numbered objects, the first being the catalogue.
fn file(objects: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        writeln!(table, "{:010} 00000 n ", out.len()).unwrap();
        out.extend(format!("{} 0 obj\n", index + 1).bytes());
        out.extend(object);
        out.extend(b"\nendobj\n");
    }
    let trailer = format!(
        "{table}trailer\n<</Size {}/Root 1 0 R>>\nstartxref\n{}\n%%EOF",
        objects.len() + 1,
        out.len()
    );
    out.extend(trailer.bytes());
    out
}

fn stream(data: &[u8], entries: &str) -> Vec<u8> {
    let mut stream = format!("<</Length {}{entries}>>\nstream\n", data.len()).into_bytes();
    stream.extend(data);
    stream.extend(b"\nendstream");
    stream
}

/// A file of one page with this content, and further objects from number 6 on.
fn page(content: Vec<u8>, resources: &str, more: Vec<Vec<u8>>) -> Vec<u8> {
    let mut objects = vec![
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>{resources}>>>>").into_bytes(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_vec(),
        content,
    ];
    objects.extend(more);
    file(&objects)
}

#[track_caller]
fn reason(bytes: &[u8]) -> Reason {
    read(
        bytes,
        &ReadOptions {
            max_bytes: 1 << 20,
            ..ReadOptions::default()
        },
        &Unwatched,
    )
    .unwrap_err()
}

#[test]
fn a_font_that_is_not_embedded_is_read() {
    let content = stream(
        b"BT /F1 12 Tf 72 700 Td (Hello world, this is text.) Tj ET",
        "",
    );
    assert_eq!(
        cleaned(&page(content, "", Vec::new())).1,
        "Hello world, this is text."
    );
}

#[test]
fn bombs_are_found_before_they_go_off() {
    let blanks = compress_to_vec_zlib(&vec![b' '; 8 << 20], 9);
    let bomb = |entries: &str| stream(&blanks, entries);
    let too_large = |reason: Reason| {
        matches!(
            reason,
            Reason::TooLarge {
                limit: 1_048_576,
                ..
            }
        )
    };
    assert!(too_large(reason(&page(
        bomb("/Filter/FlateDecode"),
        "",
        Vec::new()
    ))));
    assert!(too_large(reason(&page(
        bomb("/Filter 6 0 R"),
        "",
        vec![b"/FlateDecode".to_vec()]
    ))));
    assert!(too_large(reason(&page(
        bomb("/Filter/Fl#61teDecode"),
        "",
        Vec::new()
    ))));
    let objects = vec![bomb("/Type/ObjStm/N 1/First 10/Filter/FlateDecode")];
    assert!(too_large(reason(&page(stream(b"", ""), "", objects))));
    // One that says it is an image, but is drawn as a page.
    assert!(too_large(reason(&page(
        bomb("/Subtype/Image/Width 1/Height 1/Filter/FlateDecode"),
        "",
        Vec::new()
    ))));
    let twice = stream(
        &compress_to_vec_zlib(&blanks, 9),
        "/Filter[/FlateDecode/FlateDecode]",
    );
    assert!(matches!(
        reason(&page(twice, "", Vec::new())),
        Reason::Broken(_)
    ));
}

#[test]
fn forms_in_forms_come_to_an_end() {
    let entries =
        |next: usize| format!("/Subtype/Form/BBox[0 0 1 1]/Resources<</XObject<</X {next} 0 R>>>>");
    let forms: Vec<_> = (0..12)
        .map(|level| stream(&b"/X Do ".repeat(10), &entries(level + 7)))
        .collect();
    let content = stream(&b"/X Do ".repeat(10), "");
    let reason = reason(&page(content.clone(), "/XObject<</X 6 0 R>>", forms));
    assert!(
        matches!(reason, Reason::TooMuchWork { .. } | Reason::TooLarge { .. }),
        "{reason}"
    );
    let itself = vec![stream(b"/X Do ", &entries(6))];
    assert_eq!(
        self::reason(&page(content, "/XObject<</X 6 0 R>>", itself)),
        Reason::NoText { pages: 1 }
    );
}

#[test]
fn words_far_off_the_page_are_left_out() {
    let content = b"BT /F1 12 Tf 72 700 Td (Here is text.) Tj 1e9 0 Td (far) Tj 1 0 0 1 90000 90000 Tm (away) Tj 1e30 0 0 1e30 0 0 Tm (huge) Tj ET";
    assert!(
        cleaned(&page(stream(content, ""), "", Vec::new()))
            .1
            .contains("Here is text.")
    );
}

#[test]
fn deep_nesting_does_no_harm() {
    let depth = 300_000;
    let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let content = stream(format!("BT /F1 12 Tf {nested} TJ ET").as_bytes(), "");
    assert_eq!(
        reason(&page(content, "", Vec::new())),
        Reason::NoText { pages: 1 }
    );
    let resources = format!("/X {}{}", "<</A".repeat(depth), ">>".repeat(depth));
    assert!(
        read(
            &page(stream(b"q", ""), &resources, Vec::new()),
            &ReadOptions::default(),
            &Unwatched
        )
        .is_err()
    );
}

#[test]
fn scans_broken_and_cut_files_say_so() {
    assert_eq!(
        reason(&page(stream(b"0 0 100 100 re f", ""), "", Vec::new())),
        Reason::NoText { pages: 1 }
    );
    assert!(matches!(
        reason(b"%PDF-1.5 and then nothing"),
        Reason::Broken(_)
    ));
    let whole = paper("flow-conference.pdf");
    assert!(matches!(
        read(&whole[..50_000], &ReadOptions::default(), &Unwatched),
        Err(Reason::Broken(_))
    ));
    assert_eq!(
        reason(&fs::read(papers().join("unreadable/locked.pdf")).unwrap()),
        Reason::Encrypted
    );
    let few = ReadOptions {
        max_pages: 1,
        ..ReadOptions::default()
    };
    assert_eq!(
        read(&whole, &few, &Unwatched).unwrap_err(),
        Reason::TooManyPages { pages: 2, limit: 1 }
    );
}

#[test]
fn any_damage_is_survived() {
    let whole = paper("flow-conference.pdf");
    let mut seed = 7_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as usize
    };
    for _ in 0..60 {
        let mut damaged = whole.clone();
        for _ in 0..next() % 200 {
            let at = next() % damaged.len();
            damaged[at] = (next() % 256) as u8;
        }
        damaged.truncate(damaged.len() - next() % 2_000);
        // Either a text or a reason; what counts is that it comes back.
        let outcome = std::panic::catch_unwind(|| {
            read(&damaged, &ReadOptions::default(), &Unwatched).is_ok()
        });
        assert!(outcome.is_ok());
    }
}
