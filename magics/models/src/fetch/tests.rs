//! Downloads from a hub that is slow, full, broken or lying.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::*;
use crate::loopback::{COMMIT, Loopback, Server, reply};
use crate::places::{Patience, Secret};

fn weights() -> Vec<u8> {
    (0..200_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn tiny() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("config.json", b"{}".to_vec()),
        ("tokenizer.json", b"{ }".to_vec()),
        ("1_Pooling/config.json", b"[]".to_vec()),
        ("README.md", b"---\nlicense: mit\n---\n".to_vec()),
        ("model.safetensors", weights()),
        ("pytorch_model.bin", b"pickle".to_vec()),
        ("onnx/model.onnx", b"onnx".to_vec()),
        ("training_args.json", b"x".to_vec()),
    ]
}

fn get(name: &str, places: &Places) -> Result<Files, ModelsError> {
    fetch(&name.parse().unwrap(), places, &|_| {}, &|| false)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn incomplete(places: &Places, bytes: &[u8]) -> PathBuf {
    Cache::of_hub(places, "org/tiny").incomplete(&crate::loopback::sha256(bytes))
}

#[test]
fn a_model_comes_with_what_it_needs_and_is_then_here() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    let told = RefCell::new(Vec::new());
    let progress = |progress: Progress<'_>| {
        assert!(progress.done <= progress.total && progress.overall_done <= progress.overall_total);
        told.borrow_mut().push((
            progress.file.to_owned(),
            progress.done,
            progress.overall_done,
        ));
    };
    let files = fetch(&"org/tiny".parse().unwrap(), &places, &progress, &|| false).unwrap();
    let names: Vec<&str> = files.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "1_Pooling/config.json",
            "README.md",
            "config.json",
            "model.safetensors",
            "tokenizer.json"
        ]
    );
    assert_eq!(
        fs::read(files.path.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(files.revision.as_deref(), Some(COMMIT));
    assert_eq!(
        told.borrow().last().unwrap(),
        &("model.safetensors".to_owned(), 800_000, files.bytes())
    );
    let taken: Vec<String> = hub.paths();
    assert!(taken.iter().all(|path| !path.contains("pytorch")
        && !path.contains("onnx")
        && !path.contains("training")));

    let link = fs::read_link(files.path.join("model.safetensors")).unwrap();
    assert_eq!(
        link,
        Path::new("../../blobs").join(crate::loopback::sha256(&weights()))
    );
    let reference = home.path().join("hub/models--org--tiny/refs/main");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);

    let again = get("org/tiny", &places).unwrap();
    assert_eq!(again, files);
    assert_eq!(
        get(&format!("org/tiny@{COMMIT}"), &places).unwrap().path,
        files.path
    );
    let offline = Places {
        is_offline: true,
        ..places
    };
    assert_eq!(get("org/tiny", &offline).unwrap().path, files.path);
    assert!(matches!(
        get("org/other", &offline),
        Err(ModelsError::Offline { .. })
    ));
    assert_eq!(hub.paths(), taken);
}

#[test]
fn the_token_goes_to_the_hub_alone() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    get("org/tiny", &hub.places(home.path())).unwrap();
    assert!(
        hub.hub
            .seen()
            .iter()
            .all(|seen| seen.header("authorization") == Some("Bearer hf_secret"))
    );
    let elsewhere = hub.cdn.seen();
    assert_eq!(elsewhere.len(), 1);
    assert!(
        elsewhere
            .iter()
            .all(|seen| seen.header("authorization").is_none())
    );
}

#[test]
fn a_broken_body_goes_on_where_it_broke() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    hub.faults.lock().unwrap().breaks = 3;
    let files = get("org/tiny", &hub.places(home.path())).unwrap();
    assert_eq!(
        fs::read(files.path.join("model.safetensors")).unwrap(),
        weights()
    );
    let starts: Vec<usize> = hub
        .cdn
        .seen()
        .iter()
        .map(crate::loopback::Seen::from)
        .collect();
    assert_eq!(starts, [0, 400_000, 600_000, 700_000]);
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    *hub.faults.lock().unwrap() = crate::loopback::Faults {
        breaks: 1,
        has_no_ranges: true,
        ..Default::default()
    };
    let files = get("org/tiny", &hub.places(home.path())).unwrap();
    assert_eq!(
        fs::read(files.path.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(hub.cdn.seen()[1].from(), 400_000);
}

#[test]
fn an_interrupted_download_leaves_a_beginning() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    hub.faults.lock().unwrap().hangs = 1;
    let path = incomplete(&places, &weights());
    let got = fetch(&"org/tiny".parse().unwrap(), &places, &|_| {}, &|| {
        begun(&path) > 0
    });
    assert!(matches!(got, Err(ModelsError::Cancelled)), "{got:?}");
    let begun = begun(&path);
    assert!(begun > 0);
    assert!(
        crate::installed(&places)
            .iter()
            .all(|model| !model.is_complete)
    );
    let files = get("org/tiny", &places).unwrap();
    assert_eq!(
        fs::read(files.path.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(hub.cdn.seen()[1].from() as u64, begun);
    assert!(crate::installed(&places)[0].is_complete);
}

/// Run as a process of its own by the test below; alone it does nothing.
#[test]
fn child() {
    let Some(endpoint) = std::env::var("MLK8S_TEST_ENDPOINT").ok() else {
        return;
    };
    let places = Places::from_variables(|name| match name {
        "HF_ENDPOINT" => Some(endpoint.clone()),
        "HF_HOME" => std::env::var("MLK8S_TEST_HOME").ok(),
        _ => None,
    });
    get("org/tiny", &places.unwrap()).unwrap();
}

#[test]
fn a_killed_process_leaves_a_beginning_and_no_lock() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    hub.faults.lock().unwrap().hangs = 1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fetch::tests::child"])
        .env("MLK8S_TEST_ENDPOINT", &hub.hub.address)
        .env("MLK8S_TEST_HOME", home.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let path = incomplete(&places, &weights());
    while begun(&path) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "the child ended early");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let begun = begun(&path);
    let files = get("org/tiny", &places).unwrap();
    assert_eq!(
        fs::read(files.path.join("model.safetensors")).unwrap(),
        weights()
    );
    assert_eq!(hub.cdn.seen()[1].from() as u64, begun);
}

#[test]
fn of_two_downloads_one_waits() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    hub.faults.lock().unwrap().crowd = 2;
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| get("org/tiny", &places).unwrap()));
        let [one, other] = both.map(|thread| thread.join().unwrap());
        assert_eq!(one, other);
    });
    assert_eq!(hub.cdn.seen().len(), 1);
}

mod choice;
mod trouble;
