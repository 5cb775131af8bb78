//! Takes the folders of whoever built it out of the product: panics and metadata name files of crates, which lie in a
//! person's home.
//!
//! Each is overwritten, in place, by a name of the same length. Nothing moves by that, no symbol has it in its name, and no
//! hash that rustc or the loader checks is made of it; docs/images.md says why the compiler is not told to do it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::places::Places;
use crate::{process, settings};

/// What fills a name up to the length of the folder that it stands for.
const FILLER: u8 = b'_';

/// A folder, and the name that it gets; both have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Name {
    folder: Vec<u8>,
    name: Vec<u8>,
}

/// The folders that say who has built it.
pub(super) struct Homes(Vec<Name>);

impl Homes {
    /// Those below the home of this person: cargo's, the compiler's, and the checkout.
    pub(super) fn here(places: &Places) -> Result<Homes> {
        let Some(home) = std::env::home_dir() else {
            return Ok(Homes(Vec::new()));
        };
        let cargo = settings::cargo_home().unwrap_or_else(|| home.join(".cargo"));
        let sysroot =
            process::output(process::clean_command("rustc").args(["--print", "sysroot"]))?;
        Ok(Homes::below(
            &home,
            [
                (cargo, "/cargo"),
                (PathBuf::from(sysroot.trim()), "/rust"),
                (places.root.clone(), "/mlk8s"),
            ],
        ))
    }

    fn below(home: &Path, folders: [(PathBuf, &str); 3]) -> Homes {
        // A person without a home of their own has nothing to hide.
        let is_own = |folder: &Path| home.components().count() > 1 && folder.starts_with(home);
        let names = folders.into_iter().filter(|(folder, _)| is_own(folder));
        let names = names.map(|(folder, name)| {
            let mut folder = folder.into_os_string().into_encoded_bytes();
            let filled = name.bytes().chain(std::iter::repeat(FILLER));
            let name: Vec<u8> = filled.take(folder.len()).collect();
            folder.push(b'/');
            Name { folder, name }
        });
        Homes(names.collect())
    }

    /// Overwrites the folders in all files of `dir` and below; says how many there were.
    pub(super) fn hide(&self, dir: &Path) -> Result<usize> {
        let mut hidden = 0;
        for entry in dir.read_dir()? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                hidden += self.hide(&path)?;
                continue;
            }
            let mut bytes = fs::read(&path)?;
            let found = self.overwrite(&mut bytes);
            if found > 0 {
                fs::write(&path, bytes).with_context(|| format!("writing `{}`", path.display()))?;
            }
            hidden += found;
        }
        Ok(hidden)
    }

    fn overwrite(&self, bytes: &mut [u8]) -> usize {
        let mut found = 0;
        let mut from = 0;
        while let Some(at) = bytes[from..].iter().position(|byte| *byte == b'/') {
            let start = from + at;
            let rest = &mut bytes[start..];
            // The first that fits is the most precise one.
            let fits = self.0.iter().find(|one| rest.starts_with(&one.folder));
            from = start + 1;
            if let Some(one) = fits {
                rest[..one.name.len()].copy_from_slice(&one.name);
                from = start + one.name.len();
                found += 1;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn homes(home: &str) -> Homes {
        let folders = [
            ("/home/anna/.cargo", "/cargo"),
            ("/opt/rust", "/rust"),
            ("/home/anna/src/mlk8s", "/mlk8s"),
        ];
        let folders = folders.map(|(folder, name)| (PathBuf::from(folder), name));
        Homes::below(Path::new(home), folders)
    }

    #[test]
    fn a_folder_of_the_person_becomes_a_name_of_the_same_length() {
        let text = "\0/home/anna/.cargo/registry/src/a/lib.rs/home/anna/src/mlk8s/x.rs:/home/anna/.rustup/y /home/annabel/z\
                    /opt/rust/lib ~/home/anna";
        let mut bytes = text.as_bytes().to_vec();
        assert_eq!(homes("/home/anna").overwrite(&mut bytes), 2);
        let hidden = "\0/cargo___________/registry/src/a/lib.rs/mlk8s______________/x.rs:/home/anna/.rustup/y /home/annabel/z\
                      /opt/rust/lib ~/home/anna";
        assert_eq!(String::from_utf8(bytes).unwrap(), hidden);
    }

    #[test]
    fn without_a_home_nothing_is_hidden() {
        let mut bytes = b"/home/anna/.cargo/registry".to_vec();
        assert_eq!(homes("/").overwrite(&mut bytes), 0);
    }
}
