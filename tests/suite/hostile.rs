//! Documents that mean harm, or are merely broken: each is listed or read as text, and the rest goes on.

use std::fs;
use std::path::Path;

use mlk8s_catalog::session::Session;

use crate::examples::run;

const HONEST: &str = "Ada Lovelace wrote the first program for the Analytical Engine. Charles Babbage designed the \
                      Analytical Engine in London.";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let articles = folder.path().join("articles");
    fs::create_dir(&articles).unwrap();
    fs::write(articles.join("honest.txt"), HONEST).unwrap();
    folder
}

fn session(folder: &Path) -> Session {
    let runtime = folder.join("runtime");
    fs::create_dir_all(&runtime).unwrap();
    Session::new(runtime, folder.to_owned(), folder.join("state"))
}

#[test]
fn what_cannot_be_read_is_listed_and_the_rest_goes_on() {
    let folder = folder();
    let articles = folder.path().join("articles");
    fs::write(articles.join("empty.txt"), b"").unwrap();
    fs::write(articles.join("zeros.txt"), [0; 5000]).unwrap();
    fs::write(
        articles.join("broken.pdf"),
        b"%PDF-1.7\n1 0 obj << /Type /Catalog",
    )
    .unwrap();
    fs::write(articles.join("broken.json"), b"{\"title\": \"x\", ").unwrap();
    let mut session = session(folder.path());
    let shown = run("%corpus articles --as docs", &mut session);
    assert!(
        shown.contains("1 documents") && shown.contains("4 could not be read"),
        "{shown}"
    );
    for name in ["empty.txt", "zeros.txt", "broken.pdf", "broken.json"] {
        assert!(shown.contains(name), "{name} is not listed:\n{shown}");
    }
    let built = run("%kg build docs --as kg", &mut session);
    assert!(built.contains("1 documents added"), "{built}");
}

#[test]
fn text_that_looks_like_a_program_stays_text() {
    let folder = folder();
    let page = "<html><head><title>&lt;script&gt;alert(1)&lt;/script&gt; and more</title></head><body><h1>Title</h1>\
                <p>Ada Lovelace met <b>Charles Babbage</b> in London in 1833.</p><script>document.x = 1</script>\
                </body></html>";
    fs::write(folder.path().join("articles/page.html"), page).unwrap();
    let mut latin = b"Broken letters: ".to_vec();
    latin.extend([0xff, 0xfe, 0x80, b' ']);
    latin.extend(HONEST.as_bytes());
    fs::write(folder.path().join("articles/latin.txt"), latin).unwrap();
    let mut session = session(folder.path());
    let shown = run("%corpus articles --as docs", &mut session);
    assert!(shown.contains("3 documents"), "{shown}");
    assert!(
        shown.contains("alert(1)"),
        "the title is the title:\n{shown}"
    );
    let text: String = session
        .documents("docs")
        .unwrap()
        .documents
        .iter()
        .map(|document| document.text.clone())
        .collect();
    assert!(!text.contains("document.x"), "{text}");
    run("%kg build docs --as kg", &mut session);
    run("%kg show kg", &mut session);
}

#[test]
fn a_hundred_megabytes_in_one_line_are_read() {
    let folder = folder();
    let line = "one line without an end ".repeat(100_000_000 / 24);
    fs::write(folder.path().join("articles/line.txt"), &line).unwrap();
    drop(line);
    let mut session = session(folder.path());
    let shown = run("%corpus articles --as docs", &mut session);
    assert!(
        shown.contains("2 documents") || shown.contains("too large"),
        "{shown}"
    );
}
