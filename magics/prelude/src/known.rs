//! Types that the kernel knows at run time: their values survive the process and can be described beside it.
//!
//! The list is compiled once, so that a cell pays nothing for it: a value is found by its [`TypeId`].

use std::any::{Any, TypeId};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use mlk8s_values::{Clusters, KnowledgeGraph};
use polars::prelude::{DataFrame, IntoColumn as _, Series};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Bytes of one value that are kept at most.
pub(crate) const LARGEST: usize = 64 << 20;
/// Rows of a frame in its description.
const HEAD: usize = 5;
/// Characters of a value in its description.
const TEXT: usize = 200;

/// A type whose values can be written and read.
pub(crate) struct Known {
    /// The name by which the kernel asks for it.
    pub(crate) key: &'static str,
    /// Bytes that a value takes, roughly.
    pub(crate) size: fn(&dyn Any) -> Option<usize>,
    /// Writes a value to a new file or directory.
    pub(crate) save: fn(&dyn Any, &Path) -> io::Result<()>,
    /// Reads it back.
    pub(crate) load: fn(&Path) -> io::Result<Box<dyn Any>>,
    /// Says in a few words what the value is.
    describe: fn(&dyn Any) -> Option<Value>,
}

/// What is known about the type of `value`.
pub(crate) fn of(value: &dyn Any) -> Option<&'static Known> {
    KNOWN.get(&value.type_id())
}

/// What is known under `key`.
pub(crate) fn by_key(key: &str) -> Option<&'static Known> {
    if key == TEXT_FILE.key {
        return Some(&TEXT_FILE);
    }
    KNOWN.values().find(|known| known.key == key)
}

/// A `String` as a magic hands it over: a file that holds just the text.
static TEXT_FILE: LazyLock<Known> = LazyLock::new(|| Known {
    key: "text",
    load: |path| Ok(Box::new(std::fs::read_to_string(path)?)),
    ..plain::<String>("String")
});

/// A few words about `value`, and for a frame its columns.
pub(crate) fn describe(value: &dyn Any) -> Option<Value> {
    (of(value)?.describe)(value)
}

static KNOWN: LazyLock<HashMap<TypeId, Known>> = LazyLock::new(|| {
    let mut all = HashMap::new();
    all.insert(TypeId::of::<DataFrame>(), frame());
    all.insert(TypeId::of::<Series>(), series());
    all.insert(TypeId::of::<KnowledgeGraph>(), graph());
    all.insert(TypeId::of::<Clusters>(), clusters());
    macro_rules! plain {
        ($($type:ty),* $(,)?) => { $( all.insert(TypeId::of::<$type>(), plain::<$type>(stringify!($type))); )* };
    }
    macro_rules! numbers {
        ($($type:ty),*) => { $( plain!(
            $type, Vec<$type>, Vec<Vec<$type>>, Option<$type>, Vec<Option<$type>>, ($type, $type), Vec<($type, $type)>,
            BTreeMap<String, $type>, HashMap<String, $type>, Vec<(String, $type)>
        ); )* };
    }
    numbers!(i32, i64, u32, u64, usize, f32, f64);
    plain!(u8, i8, u16, i16, isize, u128, i128, bool, char, String);
    plain!(Vec<u8>, Vec<bool>, Vec<char>, Vec<String>, Vec<Vec<String>>);
    plain!(
        Option<bool>,
        Option<String>,
        Vec<Option<String>>,
        (String, String),
        Vec<(String, String)>
    );
    plain!(BTreeMap<String, String>, HashMap<String, String>, BTreeMap<String, Vec<String>>, HashMap<String, Vec<String>>);
    plain!(Value);
    all.insert(TypeId::of::<&'static str>(), text());
    all
});

fn plain<T>(key: &'static str) -> Known
where
    T: Any + Serialize + DeserializeOwned + std::fmt::Debug,
{
    Known {
        key,
        size: |value| measured(value.downcast_ref::<T>()?),
        save: |value, path| write(it::<T>(value)?, path),
        load: |path| Ok(Box::new(read::<T>(path)?)),
        describe: |value| Some(words(value.downcast_ref::<T>()?)),
    }
}

fn text() -> Known {
    Known {
        key: "&'static str",
        size: |value| Some(value.downcast_ref::<&'static str>()?.len()),
        save: |value, path| write(it::<&'static str>(value)?, path),
        // The text of a literal lasts as long as the process; so does this.
        load: |path| Ok(Box::new(&*read::<String>(path)?.leak())),
        describe: |value| Some(words(value.downcast_ref::<&'static str>()?)),
    }
}

fn frame() -> Known {
    Known {
        key: "DataFrame",
        size: |value| Some(value.downcast_ref::<DataFrame>()?.estimated_size()),
        save: |value, path| {
            mlk8s_values::write_frame(path, &mut it::<DataFrame>(value)?.clone())
                .map_err(io::Error::other)
        },
        load: |path| {
            Ok(Box::new(
                mlk8s_values::read_frame(path).map_err(io::Error::other)?,
            ))
        },
        describe: |value| Some(frame_words(value.downcast_ref::<DataFrame>()?)),
    }
}

fn series() -> Known {
    Known {
        key: "Series",
        size: |value| Some(value.downcast_ref::<Series>()?.estimated_size()),
        save: |value, path| {
            let series = it::<Series>(value)?.clone();
            let rows = series.len();
            let mut frame =
                DataFrame::new(rows, vec![series.into_column()]).map_err(io::Error::other)?;
            mlk8s_values::write_frame(path, &mut frame).map_err(io::Error::other)
        },
        load: |path| {
            let frame = mlk8s_values::read_frame(path).map_err(io::Error::other)?;
            let column = frame
                .columns()
                .first()
                .ok_or_else(|| io::Error::other("no column"))?;
            Ok(Box::new(column.as_materialized_series().clone()))
        },
        describe: |value| {
            let series = value.downcast_ref::<Series>()?;
            let text = format!("{} values of {}", series.len(), series.dtype());
            Some(json!({ "text": text, "head": series.head(Some(HEAD)).to_string() }))
        },
    }
}

fn graph() -> Known {
    Known {
        key: "KnowledgeGraph",
        // A name, a document and a sentence for each edge.
        size: |value| {
            let graph = value.downcast_ref::<KnowledgeGraph>()?;
            Some(graph.node_count() * 200 + graph.edge_count() * 300)
        },
        save: |value, path| {
            mlk8s_values::write_graph(path, it::<KnowledgeGraph>(value)?).map_err(io::Error::other)
        },
        load: |path| {
            Ok(Box::new(
                mlk8s_values::read_graph(path).map_err(io::Error::other)?,
            ))
        },
        describe: |value| {
            let graph = value.downcast_ref::<KnowledgeGraph>()?;
            let text = format!(
                "{} entities, {} relations",
                graph.node_count(),
                graph.edge_count()
            );
            Some(json!({ "text": text }))
        },
    }
}

fn clusters() -> Known {
    Known {
        key: "Clusters",
        size: |value| {
            let clusters = value.downcast_ref::<Clusters>()?;
            Some(clusters.assignments.estimated_size() + clusters.centroids.estimated_size() * 2)
        },
        save: |value, path| {
            mlk8s_values::write_clusters(path, it::<Clusters>(value)?).map_err(io::Error::other)
        },
        load: |path| {
            Ok(Box::new(
                mlk8s_values::read_clusters(path).map_err(io::Error::other)?,
            ))
        },
        describe: |value| {
            let clusters = value.downcast_ref::<Clusters>()?;
            Some(json!({ "text": crate::show::clusters_text(clusters) }))
        },
    }
}

fn it<T: Any>(value: &dyn Any) -> io::Result<&T> {
    value
        .downcast_ref()
        .ok_or_else(|| io::Error::other("the value is of another type"))
}

fn measured(value: &impl Serialize) -> Option<usize> {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            if self.0 > LARGEST {
                return Err(io::Error::other("too large"));
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    rmp_serde::encode::write(&mut count, value).ok()?;
    Some(count.0)
}

fn write(value: &impl Serialize, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    rmp_serde::encode::write(&mut file, value).map_err(io::Error::other)?;
    file.flush()
}

fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    rmp_serde::from_read(BufReader::new(File::open(path)?)).map_err(io::Error::other)
}

fn words(value: &dyn std::fmt::Debug) -> Value {
    struct Cut(String);
    impl std::fmt::Write for Cut {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            self.0.push_str(text);
            if self.0.len() > TEXT {
                self.0.truncate(self.0.floor_char_boundary(TEXT));
                self.0.push('…');
                return Err(std::fmt::Error);
            }
            Ok(())
        }
    }
    let mut text = Cut(String::new());
    // An error means that the text is long enough.
    let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{value:?}"));
    json!({ "text": text.0 })
}

fn frame_words(frame: &DataFrame) -> Value {
    let (rows, columns) = frame.shape();
    let names: Vec<Value> = frame
        .columns()
        .iter()
        .map(
            |column| json!({ "name": column.name().as_str(), "dtype": column.dtype().to_string() }),
        )
        .collect();
    json!({
        "text": format!("{rows} rows × {columns} columns"),
        "columns": names,
        "head": frame.head(Some(HEAD)).to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::df;
    use polars::prelude::NamedFrom as _;

    fn back(value: &dyn Any) -> Box<dyn Any> {
        let dir = tempfile::tempdir().unwrap();
        let known = of(value).unwrap();
        let path = dir.path().join("value");
        (known.save)(value, &path).unwrap();
        (by_key(known.key).unwrap().load)(&path).unwrap()
    }

    #[test]
    fn values_come_back_as_they_were() {
        assert_eq!(*back(&7i32).downcast::<i32>().unwrap(), 7);
        assert_eq!(*back(&"ä").downcast::<&'static str>().unwrap(), "ä");
        assert!(back(&vec![f64::NAN]).downcast::<Vec<f64>>().unwrap()[0].is_nan());
        let map: HashMap<String, u64> = [("a".to_owned(), 1)].into();
        assert_eq!(
            *back(&map.clone())
                .downcast::<HashMap<String, u64>>()
                .unwrap(),
            map
        );
        let frame = df!("a" => [1i64, 2], "b" => [Some("x"), None]).unwrap();
        assert!(
            back(&frame.clone())
                .downcast::<DataFrame>()
                .unwrap()
                .equals_missing(&frame)
        );
        let series = Series::new("s".into(), [1.5f64, 2.5]);
        assert!(
            back(&series.clone())
                .downcast::<Series>()
                .unwrap()
                .equals(&series)
        );
    }

    #[test]
    fn a_description_is_short_and_names_columns() {
        let frame = df!("a" => [1i64, 2]).unwrap();
        let words = describe(&frame).unwrap();
        assert_eq!(words["text"], "2 rows × 1 columns");
        assert_eq!(words["columns"][0], json!({ "name": "a", "dtype": "i64" }));
        let long: Vec<i32> = (0..1000).collect();
        let text = describe(&long).unwrap()["text"].as_str().unwrap().len();
        assert!(text < TEXT + 5, "{text}");
        assert!(describe(&std::rc::Rc::new(1)).is_none());
    }
}
