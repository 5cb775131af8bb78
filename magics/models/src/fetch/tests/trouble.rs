//! Servers that are full, refuse or lie, and disks that are full.

use super::*;

#[test]
fn a_full_server_is_waited_for() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    let busy = |wait| ("429 Too Many Requests", vec![("retry-after", wait)]);
    hub.faults.lock().unwrap().refusals =
        vec![("503 Service Unavailable", vec![]), busy("0.01"), busy("0")];
    get("org/tiny", &places).unwrap();

    let far = folder();
    hub.faults.lock().unwrap().refusals = vec![busy("3600")];
    let error = get("org/tiny", &hub.places(far.path())).unwrap_err();
    assert!(
        matches!(error, ModelsError::Unreachable { attempts: 1, .. }),
        "{error}"
    );
    hub.faults.lock().unwrap().refusals = vec![("500 Internal Server Error", vec![]); 4];
    let error = get("org/tiny", &hub.places(far.path())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("in 4 attempts: status 500 Internal Server Error"),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    for status in ["401 Unauthorized", "403 Forbidden"] {
        hub.faults.lock().unwrap().refusals = vec![(status, vec![("x-error-code", "GatedRepo")])];
        let error = get("org/tiny", &places).unwrap_err();
        assert!(error.to_string().contains("the hub says no"), "{error}");
        let hint = error.hint().unwrap();
        assert!(
            hint.contains("accept the licence at http://127.0.0.1:") && hint.contains("HF_TOKEN"),
            "{hint}"
        );
    }
    assert!(
        get("org/none", &places)
            .unwrap_err()
            .to_string()
            .contains("no such repository")
    );
    hub.faults.lock().unwrap().refusals =
        vec![("404 Not Found", vec![("x-error-code", "RevisionNotFound")])];
    let error = get("org/tiny@v9", &places).unwrap_err();
    assert!(
        error.to_string().contains("revision `v9` of `org/tiny`"),
        "{error}"
    );
    // Nothing listens there any more.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    // Nor does what listens there speak TLS; both is said long before patience with a download ends.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = format!("https://{}", mute.local_addr().unwrap());
    for address in [format!("http://{gone}"), mute] {
        let begun = Instant::now();
        let places = Places {
            endpoint: address.parse().unwrap(),
            patience: Patience {
                is_watched: true,
                ..Patience::default()
            },
            ..places.clone()
        };
        let error = get("org/tiny", &places).unwrap_err();
        let is_told =
            matches!(&error, ModelsError::NoConnection { server, .. } if *server == address);
        assert!(is_told, "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        assert!(error.hint().unwrap().contains("`./NAME`"));
    }
}

#[test]
fn a_network_that_comes_up_late_is_waited_for_where_no_person_is() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let address = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut places = hub.places(home.path());
    places.endpoint = format!("http://{address}").parse().unwrap();
    places.patience.attempts = 6;
    places.patience.pause = Duration::from_millis(100);
    // For longer than a person would be kept waiting, nothing listens there.
    let (begun, late) = (Instant::now(), Cell::new(false));
    let cancelled = || {
        if begun.elapsed() > Duration::from_millis(600) && !late.replace(true) {
            hub.also_at(address);
        }
        false
    };
    fetch(&"org/tiny".parse().unwrap(), &places, &|_| {}, &cancelled).unwrap();
    assert!(late.into_inner());
}

#[test]
fn damaged_bytes_never_get_into_place() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    hub.faults.lock().unwrap().lies = 1;
    let error = get("org/tiny", &places).unwrap_err();
    assert!(
        matches!(&error, ModelsError::Mismatch { file, .. } if file == "model.safetensors"),
        "{error}"
    );
    assert!(
        !Cache::of_hub(&places, "org/tiny")
            .blob(&crate::loopback::sha256(&weights()))
            .exists()
    );
    // A beginning that is not the file's costs one more download.
    fs::write(incomplete(&places, &weights()), vec![7; 1000]).unwrap();
    let files = get("org/tiny", &places).unwrap();
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
    assert_eq!(starts, [0, 1000, 0]);
}

#[test]
fn a_full_disk_is_named() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    let path = incomplete(&places, &weights());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let error = get("org/tiny", &places).unwrap_err();
    assert!(
        matches!(
            error,
            ModelsError::NoSpace {
                needed: 800_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("HF_HUB_CACHE"));
}
