//! `cargo devbox image`: builds the images in `images/`, tests them and lists them.
//!
//! Each image is made of others, which its Containerfile takes as arguments: Debian, a Rust toolchain, and the programs.
//! They come from a registry and from a compilation inside a container; or, with `--here`, from this machine: what
//! debootstrap makes, the toolchain that cargo uses, and the programs that are built already.

mod base;
mod engine;
mod here;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Subcommand;

use crate::advice::Advice;
use crate::places::Places;
use crate::say::Say;
use crate::suites;
use engine::{Build, Engine};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An image that we build: its name, what it is made of, and the folder that the builder sees if not the checkout.
struct Image {
    name: &'static str,
    /// Arguments of its Containerfile, and the images that they stand for.
    parts: &'static [(&'static str, &'static str)],
}

/// What `build` makes, in this order when nothing is named; the parts of an image stand before it.
const IMAGES: [Image; 4] = [
    Image {
        name: "notebook",
        parts: &[
            ("BASE", "base"),
            ("TOOLCHAIN", "toolchain"),
            ("PROGRAMS", "programs"),
        ],
    },
    Image {
        name: "notebook-cuda",
        parts: &[("NOTEBOOK", "notebook"), ("PROGRAMS", "programs")],
    },
    Image {
        name: "worker",
        parts: &[("BASE", "base"), ("PROGRAMS", "programs")],
    },
    Image {
        name: "worker-ray",
        parts: &[("RAY", "ray"), ("PROGRAMS", "programs")],
    },
];

/// Arguments of `image`.
#[derive(clap::Args)]
pub(crate) struct Command {
    #[command(subcommand)]
    action: Action,
    /// The program that builds: podman, buildah or docker (else the first of them that works)
    #[arg(long, global = true)]
    engine: Option<String>,
    /// Keep images in DIR, apart from your own (podman and buildah)
    #[arg(long, value_name = "DIR", global = true)]
    store: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Build images; all of them when none is named
    Build(BuildImages),
    /// Build the CPU image on this machine, with podman or docker, and run it as Kubeflow does
    Test,
    /// List our images with their sizes
    Ls,
}

#[derive(clap::Args)]
struct BuildImages {
    /// notebook, notebook-cuda, worker or worker-ray
    names: Vec<String>,
    /// Make the parts from this machine; no registry is asked
    #[arg(long)]
    here: bool,
    /// Take what is built as it is (with --here)
    #[arg(long)]
    no_build: bool,
    /// A part to be taken as it is, for instance BASE=docker.io/library/ubuntu:22.04
    #[arg(long = "with", value_name = "PART=IMAGE", value_parser = part)]
    parts: Vec<(String, String)>,
}

impl Command {
    /// Does it.
    pub(crate) fn run(&self, places: &Places, say: &mut Say) -> Result<()> {
        if matches!(self.action, Action::Test) {
            return suites::Test::of("test_image", self.engine.clone()).run(places, say);
        }
        let store = self.store.as_deref().map(std::path::absolute).transpose()?;
        let engine = Engine::find(self.engine.as_deref(), store.as_deref())?;
        match &self.action {
            Action::Build(build) => build.run(places, say, &engine),
            Action::Test => Ok(()),
            Action::Ls => engine.list(),
        }
    }
}

impl BuildImages {
    fn run(&self, places: &Places, say: &mut Say, engine: &Engine) -> Result<()> {
        for name in &self.names {
            find(name)?;
        }
        let mut making = Making {
            build: self,
            places,
            engine,
            made: Vec::new(),
            sources: None,
        };
        for image in &IMAGES {
            if self.names.is_empty() || self.names.iter().any(|name| name == image.name) {
                making.make(image.name, say)?;
            }
        }
        engine.list()
    }
}

/// What has been made in this run.
struct Making<'a> {
    build: &'a BuildImages,
    places: &'a Places,
    engine: &'a Engine,
    made: Vec<String>,
    /// What apt is lent, once the base was made from this machine.
    sources: Option<PathBuf>,
}

impl Making<'_> {
    /// Makes the image `name` and before it what it is made of; yields what it is called.
    fn make(&mut self, name: &str, say: &mut Say) -> Result<Option<String>> {
        if self.build.here && name == "base" {
            let base = base::make(self.places, self.engine, say)?;
            self.sources = Some(base.sources);
            return Ok(Some(base.tag));
        }
        let tag = self.engine.tag(name, VERSION);
        if self.made.contains(&tag) {
            return Ok(Some(tag));
        }
        let started = Instant::now();
        if let Ok(image) = find(name) {
            let mut arguments = Vec::new();
            for (argument, part) in image.parts {
                let given = self.build.parts.iter().find(|(name, _)| name == argument);
                let made = match given {
                    Some((_, image)) => Some(image.clone()),
                    None => self.make(part, say)?,
                };
                arguments.extend(made.map(|made| ((*argument).to_owned(), made)));
            }
            say.heading(&format!("Building the image `{tag}`"));
            let file = format!("images/{name}/Containerfile");
            self.run(&tag, &file, &self.places.root, arguments)?;
        } else if name == "programs" {
            self.programs(&tag, say)?;
        } else if self.build.here && name == "toolchain" {
            let arguments = vec![("BASE".to_owned(), self.base(say)?)];
            self.run(
                &tag,
                "images/toolchain/Containerfile",
                &here::toolchain()?,
                arguments,
            )?;
        } else {
            // The default of the Containerfile.
            return Ok(None);
        }
        say.done(
            "image",
            &format!("the image `{tag}` is there"),
            started.elapsed(),
        );
        self.made.push(tag.clone());
        Ok(Some(tag))
    }

    fn base(&mut self, say: &mut Say) -> Result<String> {
        let given = self.build.parts.iter().find(|(name, _)| name == "BASE");
        if let Some((_, image)) = given {
            return Ok(image.clone());
        }
        Ok(self.make("base", say)?.unwrap_or_default())
    }

    /// Ready ones in a folder, or compiled in a container.
    fn programs(&self, tag: &str, say: &mut Say) -> Result<()> {
        if self.build.here {
            let dir = here::programs(self.places, say, self.build.no_build)?;
            return self.run(tag, "images/programs/ready.Containerfile", &dir, Vec::new());
        }
        say.heading("Compiling the programs in a container: allow 30 minutes, or have `--here` take those of this machine");
        let toolchain = self
            .build
            .parts
            .iter()
            .filter(|(name, _)| name == "TOOLCHAIN");
        let file = "images/programs/Containerfile";
        self.run(tag, file, &self.places.root, toolchain.cloned().collect())
    }

    fn run(
        &self,
        tag: &str,
        file: &str,
        context: &Path,
        arguments: Vec<(String, String)>,
    ) -> Result<()> {
        self.engine.build(&Build {
            tag,
            file: &self.places.root.join(file),
            context,
            arguments,
            lent: &self.places.state.join("image"),
            sources: self.sources.as_deref(),
            label: None,
        })
    }
}

fn find(name: &str) -> Result<&'static Image> {
    IMAGES
        .iter()
        .find(|image| image.name == name)
        .ok_or_else(|| {
            let names: Vec<&str> = IMAGES.iter().map(|image| image.name).collect();
            Advice::error(
                format!("there is no image called `{name}`"),
                format!("there are {}", names.join(", ")),
            )
        })
}

/// `BASE=image`.
fn part(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((name, image))
            if IMAGES
                .iter()
                .flat_map(|one| one.parts)
                .any(|(known, _)| *known == name) =>
        {
            Ok((name.to_owned(), image.to_owned()))
        }
        _ => bail!("a part is BASE, TOOLCHAIN, PROGRAMS, NOTEBOOK or RAY, then `=` and an image"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_its_file_and_its_file_has_the_arguments() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for image in &IMAGES {
            let path = root.join("images").join(image.name).join("Containerfile");
            let text = std::fs::read_to_string(&path).unwrap();
            for (argument, _) in image.parts {
                assert!(
                    text.contains(&format!("\nARG {argument}=")),
                    "{} has no {argument}",
                    image.name
                );
            }
        }
    }

    #[test]
    fn the_container_of_editors_is_made_of_this_version_with_arguments_that_the_image_has() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let read = |path| std::fs::read_to_string(root.join(path)).unwrap();
        let config = read(".devcontainer/devcontainer.json");
        let is_comment = |line: &&str| line.trim_start().starts_with("//");
        let config: String = config.lines().filter(|line| !is_comment(line)).collect();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        let image = read("images/notebook/Containerfile");
        let arguments = config["build"]["args"].as_object().unwrap();
        for name in arguments.keys() {
            assert!(image.contains(&format!("\nARG {name}=")), "no {name}");
        }
        let programs = format!("mlk8s/programs:{VERSION}");
        assert_eq!(arguments["PROGRAMS"], programs);
        assert!(read(".devcontainer/programs").contains(&format!("\nimage={programs}\n")));
    }

    #[test]
    fn parts_are_named() {
        assert_eq!(
            part("BASE=a/b:1").unwrap(),
            ("BASE".to_owned(), "a/b:1".to_owned())
        );
        assert!(part("FLOOR=a/b:1").is_err() && part("BASE").is_err());
    }
}
