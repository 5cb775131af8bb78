//! Tiny random models against a plain forward pass in candle's operations.

mod bert;
mod clip;
mod plain;
mod rotary;
mod tiny;

use std::sync::Mutex;

use tiny::Tiny;

use super::Encoder;
use crate::compute::{GpuKernels, rehearsal};
use crate::watch::Watch;

/// Notes every step, and asks to stop after some of them.
struct Notes {
    steps: Mutex<Vec<(usize, usize, String)>>,
    stop_after: usize,
}

impl Notes {
    fn stop_after(stop_after: usize) -> Self {
        Self {
            steps: Mutex::default(),
            stop_after,
        }
    }
}

impl Watch for Notes {
    fn step(&self, done: usize, total: usize, what: &str) {
        self.steps
            .lock()
            .unwrap()
            .push((done, total, what.to_owned()));
    }

    fn cancelled(&self) -> bool {
        self.steps.lock().unwrap().len() >= self.stop_after
    }
}

/// A model on the processor, and elsewhere by candle's operations and by own kernels: what they compute, a GPU does too.
fn everywhere(tiny: &Tiny) -> [Encoder; 3] {
    let load = || Encoder::load(tiny.path()).unwrap();
    let by = |kernels| load().moved(&rehearsal(kernels)).unwrap();
    let own = by(GpuKernels::F32);
    assert!(own.model.layers().tower().is_some(), "no own kernels");
    [load(), by(GpuKernels::Candle), own]
}

/// The largest difference, in units of the largest number.
fn difference(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    let largest = wanted.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let differences = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
    // A NaN must not look like 0.
    differences.fold(0.0_f32, |most, x| if x <= most { most } else { x }) / largest
}

fn unit(row: &[f32]) -> Vec<f32> {
    let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
    row.iter().map(|x| x / length).collect()
}
