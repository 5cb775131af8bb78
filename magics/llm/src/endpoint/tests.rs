//! Endpoints in their file, and in the environment.

use super::*;

#[test]
fn a_house_is_told_from_the_world() {
    for url in [
        "http://127.0.0.1:8000/v1",
        "http://localhost/v1",
        "http://10.0.0.222:30307/v1",
        "http://vllm.models.svc.cluster.local/v1",
        "http://gpu/v1",
        "http://[::1]:80/v1",
    ] {
        assert!(is_near(url), "{url}");
    }
    for url in [
        "https://api.openai.com/v1",
        "https://8.8.8.8/v1",
        "https://x@evil.example/v1",
    ] {
        assert!(!is_near(url), "{url}");
    }
}

#[test]
fn endpoints_are_kept_without_their_keys() {
    let state = tempfile::tempdir().unwrap();
    let key = state.path().join("key");
    std::fs::write(&key, "sk-very-secret\n").unwrap();
    let mut endpoints = Endpoints::open(state.path()).unwrap();
    let endpoint = Endpoint {
        key: KeySource::File(key.clone()),
        ..Endpoint::new("house", "http://gpu:8000/openai/v1/")
    };
    endpoints.add(endpoint).unwrap();
    let again = Endpoints::open(state.path()).unwrap();
    let endpoint = again.get(Some("house")).unwrap();
    assert_eq!(endpoint.url, "http://gpu:8000/openai/v1");
    let secret = endpoint.key().unwrap().unwrap();
    assert_eq!(secret.expose(), "sk-very-secret");
    assert!(!format!("{secret:?} {endpoint:?}").contains("very"));
    let text = std::fs::read_to_string(state.path().join("endpoints.json")).unwrap();
    assert!(!text.contains("very"));
    std::fs::write(&key, " \n").unwrap();
    let error = endpoint.key().unwrap_err();
    assert!(error.to_string().ends_with("it is empty") && error.hint().contains("--key-file"));
}

#[test]
fn one_that_ends_with_its_process_gives_way_to_the_one_before() {
    let state = tempfile::tempdir().unwrap();
    let mut endpoints = Endpoints::open(state.path()).unwrap();
    for name in ["a", "b"] {
        endpoints.add(Endpoint::new(name, "http://a/v1")).unwrap();
    }
    endpoints.choose("b").unwrap();
    let mut child = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    let loaded = Endpoint {
        process: Process::of(child.id()),
        ..Endpoint::new("loaded", "http://127.0.0.1:1/v1")
    };
    endpoints.add(loaded).unwrap();
    endpoints.choose("loaded").unwrap();
    let mut again = Endpoints::open(state.path()).unwrap();
    assert_eq!(again.used().as_deref(), Some("loaded"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(again.used().as_deref(), Some("b"));
    assert!(again.get(Some("loaded")).is_err());
    again.add(Endpoint::new("c", "http://c/v1")).unwrap();
    let text = std::fs::read_to_string(state.path().join("endpoints.json")).unwrap();
    assert!(!text.contains("loaded\",\n      \"url"), "{text}");
}

#[test]
fn what_is_not_there_is_named() {
    let state = tempfile::tempdir().unwrap();
    let mut endpoints = Endpoints::open(state.path()).unwrap();
    endpoints.add(Endpoint::new("a", "http://a/v1")).unwrap();
    assert_eq!(
        endpoints.remove("b").unwrap_err().to_string(),
        "there is no endpoint called `b`"
    );
    std::fs::write(state.path().join("endpoints.json"), "{").unwrap();
    let error = Endpoints::open(state.path()).unwrap_err().to_string();
    assert!(error.contains("endpoints.json"), "{error}");
}
