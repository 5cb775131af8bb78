//! What is taken of repositories of different kinds, and of buckets.

use super::*;

#[test]
fn a_repository_that_moved_is_found() {
    let (hub, home) = (Loopback::start(&tiny()), folder());
    let places = hub.places(home.path());
    hub.faults.lock().unwrap().refusals = vec![(
        "307 Temporary Redirect",
        vec![("location", "/api/models/org/tiny/revision/main?blobs=true")],
    )];
    let files = get("org/old", &places).unwrap();
    assert!(files.path.to_str().unwrap().contains("models--org--old"));
}

#[test]
fn of_several_ggufs_one_is_named() {
    let files = [
        ("a-Q4_K_M.gguf", vec![1; 2_000_000]),
        ("b/b-Q8_0.gguf", vec![2; 3000]),
        ("README.md", vec![]),
    ];
    let (hub, home) = (Loopback::start(&files), folder());
    let places = hub.places(home.path());
    for name in ["org/tiny", "org/tiny:c.gguf"] {
        let error = get(name, &places).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a-Q4_K_M.gguf  2.0 MB\n  b/b-Q8_0.gguf  3.0 kB"),
            "{error}"
        );
        assert_eq!(
            error.hint().unwrap(),
            "for example `org/tiny:a-Q4_K_M.gguf`"
        );
    }
    let one = get("org/tiny:b/b-Q8_0.gguf", &places).unwrap();
    assert_eq!(
        (one.bytes(), fs::read(&one.path).unwrap().len()),
        (3000, 3000)
    );
    assert_eq!(hub.cdn.seen().len(), 1);
    let (pickles, home) = (Loopback::start(&[("pytorch_model.bin", vec![1])]), folder());
    let error = get("org/tiny", &pickles.places(home.path())).unwrap_err();
    assert!(matches!(error, ModelsError::NoWeights { .. }));
}

#[test]
fn shards_are_those_of_the_index() {
    let index = br#"{"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}}"#;
    let files = [
        ("config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index.to_vec()),
        ("model-1.safetensors", vec![1; 10]),
        ("model-2.safetensors", vec![2; 20]),
        ("consolidated.safetensors", vec![3; 30]),
    ];
    let (hub, home) = (Loopback::start(&files), folder());
    let got = get("org/tiny", &hub.places(home.path())).unwrap();
    assert_eq!(
        got.weights().map(|file| file.bytes).collect::<Vec<_>>(),
        [10, 20]
    );
    // Without a tokenizer the hub is asked again, and what is here does when it is gone.
    let mut places = hub.places(home.path());
    places.endpoint = "http://127.0.0.1:9".parse().unwrap();
    assert_eq!(get("org/tiny", &places).unwrap(), got);
}

#[test]
fn a_bucket_gives_models_too() {
    let home = folder();
    let server = bucket();
    let hub = Loopback::start(&[]);
    let mut places = hub.places(home.path());
    places.bucket.endpoint = Some(server.address.parse().unwrap());
    places.bucket.key = Some(("AKIA".to_owned(), Secret::new("hidden")));
    let files = get("s3://models/m", &places).unwrap();
    assert_eq!(
        fs::read(files.path.join("a b.safetensors")).unwrap(),
        weights()
    );
    let seen = server.seen();
    assert_eq!(seen.last().unwrap().from(), 300_000);
    let signed = "AWS4-HMAC-SHA256 Credential=AKIA/";
    assert!(
        seen.iter()
            .all(|seen| seen.header("authorization").unwrap().starts_with(signed))
    );
    assert!(
        seen.last()
            .unwrap()
            .header("authorization")
            .unwrap()
            .contains("SignedHeaders=host;if-match;range;x-amz-content-sha256;x-amz-date,")
    );
    // The list is read again, the objects are not.
    assert_eq!(get("s3://models/m", &places).unwrap(), files);
    assert_eq!(server.seen().len(), seen.len() + 1);
    let offline = Places {
        is_offline: true,
        ..places
    };
    assert_eq!(get("s3://models/m", &offline).unwrap(), files);
}

/// A server of one bucket, whose first large body breaks off.
fn bucket() -> Server {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    Server::start(move |seen, stream| {
        let weights = weights();
        let etag = |bytes: &[u8]| crate::loopback::sha256(bytes)[..32].to_owned();
        let object = |key: &str, bytes: &[u8]| {
            format!(
                "<Contents><Key>m/{key}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                etag(bytes),
                bytes.len()
            )
        };
        if seen.path == "/models?list-type=2&prefix=m%2F" {
            let objects = object("config.json", b"{}")
                + &object("a b.safetensors", &weights)
                + &object("x.bin", b"p");
            return reply(
                stream,
                "200 OK",
                &[],
                format!("<ListBucketResult>{objects}</ListBucketResult>").as_bytes(),
            );
        }
        let bytes = match seen.path.as_str() {
            "/models/m/config.json" => b"{}".to_vec(),
            "/models/m/a%20b.safetensors" => weights,
            _ => {
                return reply(
                    stream,
                    "404 Not Found",
                    &[],
                    b"<Error><Message>no</Message></Error>",
                );
            }
        };
        assert_eq!(
            seen.header("if-match").unwrap(),
            format!("\"{}\"", etag(&bytes))
        );
        let rest = &bytes[seen.from()..];
        let range = format!("bytes {}-{}/{}", seen.from(), bytes.len() - 1, bytes.len());
        let is_broken = rest.len() > 2 && is_first.swap(false, std::sync::atomic::Ordering::SeqCst);
        let sent = if is_broken { 300_000 } else { rest.len() };
        let status = if seen.from() > 0 {
            "206 Partial Content"
        } else {
            "200 OK"
        };
        let headers = [
            ("content-length", rest.len().to_string()),
            ("content-range", range),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        reply(stream, status, &headers, &rest[..sent]);
    })
}
