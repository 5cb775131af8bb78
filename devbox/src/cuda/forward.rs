//! Stand-ins for NVIDIA's libraries, to link with: each function passes its call on to the real one, which is looked for
//! when the first function of its library is called.
//!
//! The bindings want to be linked with the driver, cuBLAS, cuRAND and NVRTC, and a program that is does not start where
//! one of them is missing. One that is linked with these starts everywhere, and finds out by a call that there is no GPU.
//! Arguments stay where they are: the code does not know them, and jumps.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A library that is passed on to.
pub(super) struct Library {
    /// The folder of its declarations in the bindings.
    pub(super) folder: &'static str,
    /// What linkers call it.
    pub(super) name: &'static str,
    /// The file that is loaded.
    pub(super) file: &'static str,
    /// What its functions return where it is missing, in its own words.
    pub(super) missing: u32,
    /// Whether it is told on the standard error that it is missing. A missing driver is what most machines have.
    pub(super) told: bool,
}

/// The libraries.
pub(super) const LIBRARIES: [Library; 5] = [
    // No device.
    library("driver", "cuda", "libcuda.so.1", 100, false),
    // Not initialised.
    library("cublas", "cublas", "libcublas.so.13", 1, true),
    library("cublaslt", "cublasLt", "libcublasLt.so.13", 1, true),
    // The initialisation failed.
    library("curand", "curand", "libcurand.so.10", 203, true),
    // An error inside.
    library("nvrtc", "nvrtc", "libnvrtc.so.13", 11, true),
];

const fn library(
    folder: &'static str,
    name: &'static str,
    file: &'static str,
    missing: u32,
    told: bool,
) -> Library {
    Library {
        folder,
        name,
        file,
        missing,
        told,
    }
}

/// The functions that the bindings declare, and which of them return a text.
fn functions(declared: &str) -> BTreeMap<&str, bool> {
    let mut names = BTreeMap::new();
    for rest in declared.split("fn ").skip(1) {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let name = &rest[..end.unwrap_or(rest.len())];
        let of_nvidia = name.starts_with("cu") || name.starts_with("nvrtc");
        // Declarations, not what is written in Rust around them.
        let declaration = rest[name.len()..].find([';', '{']);
        let declaration = declaration.map(|at| &rest[name.len()..=name.len() + at]);
        if let Some(declaration) = declaration
            && of_nvidia
            && declaration.starts_with('(')
            && declaration.ends_with(';')
        {
            names.insert(name, declaration.contains("-> *const"));
        }
    }
    names
}

/// The C source of the stand-in, for x86-64.
pub(super) fn source(library: &Library, declared: &str) -> String {
    let functions = functions(declared);
    let Library {
        name,
        file,
        missing,
        told,
        ..
    } = library;
    let mut text = format!(
        "/* Made by `cargo devbox build cuda`. */\n#define COUNT {}\n#define LIBRARY \"{file}\"\n\
         #define MISSING {missing}\n#define TOLD {}\n#define FOUND \"mlk8s_{name}_found\"\n\
         #define FIND \"mlk8s_{name}_find\"\n#define found mlk8s_{name}_found\n#define find mlk8s_{name}_find\n\
         static const struct {{ const char *name; int text; }} functions[COUNT] = {{\n",
        functions.len().max(1),
        u8::from(*told),
    );
    // Writing to a text cannot fail.
    for (function, is_text) in &functions {
        let _ = writeln!(text, "    {{ \"{function}\", {} }},", u8::from(*is_text));
    }
    text.push_str("};\n");
    text.push_str(COMMON);
    for (number, function) in functions.keys().enumerate() {
        let _ = writeln!(text, "FORWARD(\"{function}\", \"{number}\")");
    }
    text
}

const COMMON: &str = r#"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

__attribute__((used, visibility("hidden"))) void *found[COUNT];
static void *library;

static void load(void) {
    library = dlopen(LIBRARY, RTLD_NOW | RTLD_GLOBAL);
    if (!library && TOLD) fprintf(stderr, "%s\n", dlerror());
}

static long missing(void) { return MISSING; }
static const char *missing_text(void) { return LIBRARY " is missing"; }

/* Where the calls of a function go to. */
__attribute__((used, visibility("hidden"))) void *find(unsigned long number) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    void *place = library ? dlsym(library, functions[number].name) : 0;
    if (!place) place = functions[number].text ? (void *)missing_text : (void *)missing;
    __atomic_store_n(&found[number], place, __ATOMIC_RELEASE);
    return place;
}

/* The first call of a function: all registers that hold arguments are kept. On the stack are its number and where the
   call returns to; what the caller has put there lies above. */
__asm__(
    ".text\n"
    "mlk8s_first:\n"
    "    pushq %rdi\n    pushq %rsi\n    pushq %rdx\n    pushq %rcx\n"
    "    pushq %r8\n    pushq %r9\n    pushq %rax\n    pushq %r10\n"
    "    subq $128, %rsp\n"
    "    movups %xmm0, (%rsp)\n    movups %xmm1, 16(%rsp)\n    movups %xmm2, 32(%rsp)\n    movups %xmm3, 48(%rsp)\n"
    "    movups %xmm4, 64(%rsp)\n    movups %xmm5, 80(%rsp)\n    movups %xmm6, 96(%rsp)\n    movups %xmm7, 112(%rsp)\n"
    "    movq 192(%rsp), %rdi\n"
    "    call " FIND "\n"
    "    movq %rax, %r11\n"
    "    movups (%rsp), %xmm0\n    movups 16(%rsp), %xmm1\n    movups 32(%rsp), %xmm2\n    movups 48(%rsp), %xmm3\n"
    "    movups 64(%rsp), %xmm4\n    movups 80(%rsp), %xmm5\n    movups 96(%rsp), %xmm6\n    movups 112(%rsp), %xmm7\n"
    "    addq $128, %rsp\n"
    "    popq %r10\n    popq %rax\n    popq %r9\n    popq %r8\n"
    "    popq %rcx\n    popq %rdx\n    popq %rsi\n    popq %rdi\n"
    "    addq $8, %rsp\n"
    "    jmp *%r11\n"
    ".section .note.GNU-stack,\"\",@progbits\n.text\n");

#define FORWARD(name, number)                   \
    __asm__(".globl " name "\n"                 \
            ".type " name ", @function\n" name ":\n" \
            "    movq " FOUND "+8*" number "(%rip), %r11\n" \
            "    testq %r11, %r11\n"            \
            "    jz 1f\n"                       \
            "    jmp *%r11\n"                   \
            "1:  pushq $" number "\n"           \
            "    jmp mlk8s_first\n");

"#;

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::{process, settings};

    #[test]
    fn functions_are_those_that_the_bindings_declare() {
        let declared = "pub unsafe fn cuInit(Flags: u32) -> CUresult {\n  type _F = unsafe extern \"C\" fn(u32);\n\
                        fn cuInit(Flags: u32);\n fn nvrtcVersion(a: *mut i32) -> R;\n fn culib() -> &'static L {\n\
                        fn nvrtcGetErrorString(a: R) -> *const ::core::ffi::c_char;\n fn load<F>(a: u8);";
        let functions: Vec<(&str, bool)> = functions(declared).into_iter().collect();
        assert_eq!(
            functions,
            [
                ("cuInit", false),
                ("nvrtcGetErrorString", true),
                ("nvrtcVersion", false)
            ]
        );
    }

    /// Calls functions with arguments in all places that arguments have, each twice.
    const CALLER: &str = r#"
#include <stdio.h>
long cuMany(long, long, long, long, long, long, double, double, float, double, double, double, double, double, double, long);
int cuNothing(void);
const char *cuGetWords(int);
int main(void) {
    for (int i = 0; i < 2; i++) printf("%ld ", cuMany(1, 2, 3, 4, 5, 6, .5, 1.5, 2.5f, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 7));
    printf("%d %s\n", cuNothing(), cuGetWords(3));
    return 0;
}
"#;
    const REAL: &str = r#"
long cuMany(long a, long b, long c, long d, long e, long f, double g, double h, float i, double j, double k, double l,
            double m, double n, double o, long p) {
    long whole = (((((a * 10 + b) * 10 + c) * 10 + d) * 10 + e) * 10 + f) * 10 + p;
    return whole * 1000 + (long)(g + 2 * h + 3 * i + 4 * j + 5 * k + 6 * l + 7 * m + 8 * n + 9 * o);
}
const char *cuGetWords(int n) { return n == 3 ? "three" : "another"; }
"#;

    fn compile(folder: &Path, name: &str, text: &str, more: &[&str]) {
        std::fs::write(folder.join(format!("{name}.c")), text).unwrap();
        let mut command = Command::new(settings::c_compiler());
        command.current_dir(folder).arg("-O1").args(more);
        process::output(command.arg(format!("{name}.c"))).unwrap();
    }

    #[test]
    #[cfg(all(target_os = "linux", target_arch = "x86_64"))]
    fn calls_are_passed_on_with_all_arguments() {
        let folder = std::env::temp_dir().join(format!("mlk8s-forward-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let declared = "fn cuMany(a: i64) -> i64;\nfn cuNothing() -> R;\nfn cuGetWords(a: i32) -> *const c_char;\n";
        let library = library("driver", "cuda", "libmlk8s-no-such.so.1", 100, false);
        compile(&folder, "stand", &source(&library, declared), &["-c"]);
        let linked = ["-o", "caller", "stand.o", "-x", "c"];
        compile(&folder, "caller", CALLER, &linked);
        let run = || {
            let mut caller = Command::new(folder.join("caller"));
            process::output(caller.env("LD_LIBRARY_PATH", &folder)).unwrap()
        };
        assert_eq!(run(), "100 100 100 libmlk8s-no-such.so.1 is missing\n");
        let shared = ["-shared", "-fPIC", "-o", "libmlk8s-no-such.so.1"];
        compile(&folder, "real", REAL, &shared);
        // 0.5 + 3 + 7.5 + 14 + 22.5 + 33 + 45.5 + 60 + 76.5; what it has not is missing all the same.
        assert_eq!(run(), "1234567262 1234567262 100 three\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
