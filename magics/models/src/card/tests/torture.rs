//! Files with thousands of kinds of damage.

use super::*;

/// Changes, cuts and stretches a file in thousands of ways: each is read or refused, none panics or asks for more memory
/// than the file has (lengths are checked against what follows before anything is allocated).
fn torture(name: &str, whole: &[u8], header: usize) {
    let folder = Folder::new(&[("config.json", LLAMA.as_bytes()), (name, whole)]);
    let path = folder.0.path().join(name);
    let read = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let directory = if name == "m.gguf" { name } else { "" };
        folder.card(directory)
    };
    assert!(read(whole).is_ok());
    for len in 0..header {
        assert!(read(&whole[..len]).is_err(), "cut at {len}");
    }
    let mut random = fastrand::Rng::with_seed(7);
    let mut n_refused = 0;
    for _ in 0..3000 {
        let mut bytes = whole.to_vec();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..header);
            match random.u8(..4) {
                0 => bytes[at] ^= 1 << random.u8(..8),
                1 => bytes[at] = random.choice([0, 0x7f, 0x80, 0xff]).unwrap(),
                2 => bytes[at..(at + 8).min(whole.len())].fill(0xff),
                _ => {
                    bytes.remove(at);
                }
            }
        }
        n_refused += usize::from(read(&bytes).is_err());
    }
    assert!(n_refused > 500, "{n_refused}");
}

#[test]
fn no_safetensors_file_makes_us_fall() {
    let whole = llama_weights();
    torture("model.safetensors", &whole, whole.len() - 784);
}

#[test]
fn no_gguf_file_makes_us_fall() {
    let whole = gguf(3, &[("general.license", "mit")]);
    torture("m.gguf", &whole, whole.len() - 9184);
}

#[test]
fn deep_arrays_are_refused() {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(0_u64.to_le_bytes());
    bytes.extend(1_u64.to_le_bytes());
    text(&mut bytes, "x");
    bytes.extend(9_u32.to_le_bytes());
    for _ in 0..100_000 {
        bytes.extend(9_u32.to_le_bytes());
        bytes.extend(1_u64.to_le_bytes());
    }
    let error = Folder::new(&[("m.gguf", &bytes)])
        .card("m.gguf")
        .unwrap_err();
    assert!(
        error.to_string().contains("arrays in arrays in arrays"),
        "{error}"
    );
}
