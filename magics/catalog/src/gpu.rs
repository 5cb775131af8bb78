//! What the GPUs of this machine are doing, as NVIDIA's management library says.

use std::ffi::OsStr;
use std::path::Path;

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml, cuda_driver_version_major, cuda_driver_version_minor};

/// What the library is called: the first is what a driver brings, the second what its development files add.
pub(crate) const LIBRARIES: &[&str] = &["libnvidia-ml.so.1", "libnvidia-ml.so"];

/// Devices of which NVIDIA's drivers make at least one: those of cards, of WSL, and of boards with a GPU.
const DEVICES: [&str; 4] = [
    "/dev/nvidiactl",
    "/dev/nvidia0",
    "/dev/dxg",
    "/dev/nvhost-gpu",
];

/// Whether a GPU of NVIDIA may be in this machine or container, whether or not it can be used.
pub(crate) fn may_be_here() -> bool {
    DEVICES.iter().any(|device| Path::new(device).exists())
}

/// The GPUs of this machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Gpus {
    /// Version of the driver.
    pub(crate) driver: String,
    /// Newest CUDA that it knows, such as 13.0.
    pub(crate) cuda: String,
    /// One for each GPU, by its number.
    pub(crate) all: Vec<Gpu>,
}

/// One GPU; what it does not tell is `None`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Gpu {
    pub(crate) name: String,
    /// Bytes in use, and all there are.
    pub(crate) memory: Option<(u64, u64)>,
    /// Per cent of the last second in which something was computed.
    pub(crate) load: Option<u32>,
    /// Degrees Celsius.
    pub(crate) temperature: Option<u32>,
    /// Watts drawn now, and the most that are allowed.
    pub(crate) power: Option<(f64, Option<f64>)>,
    /// Kilowatt-hours since the driver was loaded.
    pub(crate) energy: Option<f64>,
    /// Processes that compute on it, and the bytes they have.
    pub(crate) processes: Vec<(u32, Option<u64>)>,
}

/// Reads all of it, through the first of `libraries` that is there; the error says why nothing can be seen.
pub(crate) fn read(libraries: &[&str]) -> Result<Gpus, String> {
    let mut why = NvmlError::LibraryNotFound;
    for library in libraries {
        match Nvml::builder().lib_path(OsStr::new(library)).init() {
            Ok(nvml) => return all(&nvml).map_err(|error| reason(&error)),
            Err(error) => why = error,
        }
    }
    Err(reason(&why))
}

fn reason(error: &NvmlError) -> String {
    match error {
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => {
            "the library `libnvidia-ml.so.1`, which comes with the driver, is not here".to_owned()
        }
        NvmlError::DriverNotLoaded => "the driver of NVIDIA is not loaded".to_owned(),
        NvmlError::NoPermission => "this process may not ask the driver".to_owned(),
        other => format!("the driver says: {other}"),
    }
}

fn all(nvml: &Nvml) -> Result<Gpus, NvmlError> {
    let cuda = nvml.sys_cuda_driver_version().unwrap_or_default();
    let gpus = (0..nvml.device_count()?)
        .map(|index| Ok(one(&nvml.device_by_index(index)?)))
        .collect::<Result<Vec<Gpu>, NvmlError>>()?;
    Ok(Gpus {
        driver: nvml.sys_driver_version().unwrap_or_default(),
        cuda: format!(
            "{}.{}",
            cuda_driver_version_major(cuda),
            cuda_driver_version_minor(cuda)
        ),
        all: gpus,
    })
}

/// Many cards do not tell everything, such as the energy; that is no reason to tell nothing.
fn one(device: &Device) -> Gpu {
    let watts = |milliwatts: u32| f64::from(milliwatts) / 1000.0;
    let power = device.power_usage().ok().map(|drawn| {
        let most = device.enforced_power_limit().ok();
        (watts(drawn), most.map(watts))
    });
    let processes = device.running_compute_processes().unwrap_or_default();
    Gpu {
        name: device.name().unwrap_or_default(),
        memory: device.memory_info().ok().map(|m| (m.used, m.total)),
        load: device.utilization_rates().ok().map(|rates| rates.gpu),
        temperature: device.temperature(TemperatureSensor::Gpu).ok(),
        power,
        energy: device
            .total_energy_consumption()
            .ok()
            .map(|millijoules| millijoules as f64 / 3.6e9),
        processes: processes
            .into_iter()
            .map(|process| match process.used_gpu_memory {
                UsedGpuMemory::Used(bytes) => (process.pid, Some(bytes)),
                UsedGpuMemory::Unavailable => (process.pid, None),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A library that answers as that of a driver with one GPU; C, because that is what the real one speaks.
    const STAND_IN: &str = r#"
        #include <string.h>
        typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory;
        typedef struct { unsigned gpu, memory; } rates;
        int nvmlInit_v2(void) { return 0; }
        int nvmlShutdown(void) { return 0; }
        int nvmlSystemGetDriverVersion(char *to, unsigned n) { strncpy(to, "580.82.07", n); return 0; }
        int nvmlSystemGetCudaDriverVersion(int *to) { *to = 13000; return 0; }
        int nvmlSystemGetCudaDriverVersion_v2(int *to) { *to = 13000; return 0; }
        int nvmlDeviceGetCount_v2(unsigned *to) { *to = 1; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **to) { *to = (void *)1; return i ? 2 : 0; }
        int nvmlDeviceGetName(void *d, char *to, unsigned n) { strncpy(to, "Some GPU", n); return 0; }
        int nvmlDeviceGetMemoryInfo_v2(void *d, memory *to) { to->total = 16ull << 30; to->used = 3ull << 30; return 0; }
        int nvmlDeviceGetUtilizationRates(void *d, rates *to) { to->gpu = 73; to->memory = 12; return 0; }
        int nvmlDeviceGetTemperature(void *d, int sensor, unsigned *to) { *to = 61; return 0; }
        int nvmlDeviceGetPowerUsage(void *d, unsigned *to) { *to = 215500; return 0; }
        int nvmlDeviceGetEnforcedPowerLimit(void *d, unsigned *to) { *to = 320000; return 0; }
        int nvmlDeviceGetTotalEnergyConsumption(void *d, unsigned long long *to) { return 3; }
    "#;

    #[test]
    fn what_a_driver_says_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (source, library) = (dir.path().join("nvml.c"), dir.path().join("libnvml.so"));
        std::fs::write(&source, STAND_IN).unwrap();
        let built = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .status();
        assert!(built.unwrap().success());
        let found = read(&["no such library", library.to_str().unwrap()]).unwrap();
        let wanted = Gpus {
            driver: "580.82.07".to_owned(),
            cuda: "13.0".to_owned(),
            all: vec![Gpu {
                name: "Some GPU".to_owned(),
                memory: Some((3 << 30, 16 << 30)),
                load: Some(73),
                temperature: Some(61),
                power: Some((215.5, Some(320.0))),
                energy: None,
                processes: Vec::new(),
            }],
        };
        assert_eq!(found, wanted);
    }

    #[test]
    fn without_a_driver_it_says_so() {
        let why = read(&["no such library"]).unwrap_err();
        assert!(why.contains("libnvidia-ml.so.1"), "{why}");
    }
}
