//! Times k-means on rows in a raw file of 32-bit numbers; `benches/kmeans_rows.py` drives this and the peers in turn.
//!
//! Arguments: file of rows, columns, clusters, iterations, file of first centroids. For each line of the input, `lloyd`
//! or `init`, it answers with seconds, processor seconds, inertia, iterations, and peak memory in KiB.

use std::error::Error;
use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use mlk8s_clustering::{Dense, Init, Options, Silent, kmeans};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [rows, dims, k, iterations, first] = arguments.as_slice() else {
        return Err("rows dims k iterations first-centroids".into());
    };
    let (rows, first) = (read(rows)?, read(first)?);
    let (dims, k, iterations): (usize, usize, usize) =
        (dims.parse()?, k.parse()?, iterations.parse()?);
    for line in stdin().lock().lines() {
        let mut options = Options::new(k);
        options.tolerance = 0.0;
        match line?.split_once(' ') {
            Some(("init", seed)) => {
                options.max_iter = 0;
                options.seed = seed.parse()?;
            }
            Some(("parallel", seed)) => {
                options.max_iter = 0;
                options.init = Init::Parallel;
                options.seed = seed.parse()?;
            }
            _ => {
                options.max_iter = iterations;
                options.init = Init::Given(first.clone());
            }
        }
        let (began, used) = (Instant::now(), processor_seconds()?);
        let points = Dense::new(rows.as_slice(), dims)?;
        let fit = kmeans::fit(&points, None, &options, &Silent)?;
        let (took, used) = (began.elapsed().as_secs_f64(), processor_seconds()? - used);
        writeln!(
            stdout(),
            "{took} {used} {} {} {}",
            fit.inertia,
            fit.iterations,
            peak()?
        )?;
        stdout().flush()?;
    }
    Ok(())
}

fn read(path: &str) -> Result<Vec<f32>, Box<dyn Error>> {
    let mut values = vec![0.0_f32; std::fs::metadata(path)?.len() as usize / 4];
    std::io::Read::read_exact(
        &mut std::fs::File::open(path)?,
        bytemuck::cast_slice_mut(&mut values),
    )?;
    Ok(values)
}

/// Of all threads; the kernel counts in hundredths.
fn processor_seconds() -> Result<f64, Box<dyn Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').ok_or("stat")?.1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}

fn peak() -> Result<u64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .ok_or("VmHWM")?;
    Ok(line.split_whitespace().nth(1).ok_or("VmHWM")?.parse()?)
}
