//! What the code around a cell calls: variables in and out, the end of a cell, its value. Not for people.

use std::any::{Any, TypeId, type_name};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Display, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use crate::bundle::{self, Bundle};
use crate::capture;
use crate::show::Show;

/// Longest text of `Debug` that is shown, in bytes.
const DEBUG_TEXT: usize = 256 << 10;
/// A text longer than this is broken into lines.
const LINE: usize = 100;
/// How often a future that waits looks for an interrupt.
const GLANCE: Duration = Duration::from_millis(50);

/// The user wants the cell to stop.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static VARIABLES: RefCell<BTreeMap<String, Box<dyn Any>>> = RefCell::default();
    /// Names put since the cell began.
    static TOUCHED: RefCell<Vec<String>> = RefCell::default();
    static SHOWN: RefCell<Option<Bundle>> = RefCell::default();
    static ENDING: RefCell<Ending> = RefCell::default();
    static LASTING: RefCell<BTreeMap<&'static str, &'static dyn Any>> = RefCell::default();
}

/// How a cell ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Ending {
    /// It ran to its end.
    #[default]
    Done,
    /// It left early by `?`, with this error.
    Left(String),
    /// It panicked.
    Panicked,
    /// It was stopped by the user.
    Interrupted,
    /// It asked a question that the frontend does not allow.
    Refused,
}

/// An error that leaves a cell by `?`: the text of anything that can say what it is.
pub struct Left(String);

impl<E: Display + Debug> From<E> for Left {
    fn from(error: E) -> Left {
        let (shown, debugged) = (error.to_string(), format!("{error:?}"));
        Left(if shown.is_empty() { debugged } else { shown })
    }
}

/// What unwinds an interrupted cell.
struct Interrupted;

/// What unwinds a cell whose question cannot be asked.
struct Refused;

/// Ends the cell because it cannot be given what it asked for.
pub(crate) fn refuse() -> ! {
    resume_unwind(Box::new(Refused))
}

/// Ends the cell here if the user wants it to stop; the kernel puts a call of it into every loop of a cell.
#[inline]
pub fn poll() {
    if INTERRUPTED.load(Ordering::Relaxed) {
        stop();
    }
}

#[cold]
#[inline(never)]
fn stop() {
    // A loop in a destructor must not unwind a second time.
    if !std::thread::panicking() {
        resume_unwind(Box::new(Interrupted));
    }
}

/// Whether the user wants the cell to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

pub(crate) fn set_interrupted(interrupted: bool) {
    INTERRUPTED.store(interrupted, Ordering::SeqCst);
}

/// Takes the variable `name` out of the session.
///
/// # Panics
///
/// When there is no such variable of that type, which the kernel makes sure of.
#[inline(never)]
pub fn take<T: 'static>(name: &str) -> T {
    let found = VARIABLES.with_borrow_mut(|all| all.remove(name));
    match found.map(Box::<dyn Any>::downcast::<T>) {
        Some(Ok(value)) => *value,
        Some(Err(_)) => panic!("`{name}` is not a `{}` any more", type_name::<T>()),
        None => panic!("there is no variable `{name}` any more"),
    }
}

/// Keeps `value` in the session under `name`; the kernel reads its type off this call in the compiler's output.
#[inline(never)]
pub fn put<T: 'static>(name: &'static str, value: T) {
    put_boxed(name, Box::new(value));
}

pub(crate) fn put_boxed(name: &str, value: Box<dyn Any>) {
    let old = VARIABLES.with_borrow_mut(|all| all.insert(name.to_owned(), value));
    TOUCHED.with_borrow_mut(|all| all.push(name.to_owned()));
    // Code of the user may run here.
    drop(old);
}

/// Drops variables.
pub(crate) fn forget(names: &[String]) {
    for name in names {
        drop(VARIABLES.with_borrow_mut(|all| all.remove(name)));
    }
}

/// Hands each variable that was put since the list was emptied to `look`, and then may `empty` the list.
pub(crate) fn for_touched(empty: bool, mut look: impl FnMut(&str, &dyn Any)) {
    let mut names = if empty {
        TOUCHED.take()
    } else {
        TOUCHED.with_borrow(Clone::clone)
    };
    names.sort();
    names.dedup();
    VARIABLES.with_borrow(|all| {
        for name in &names {
            if let Some(value) = all.get(name) {
                look(name, value.as_ref());
            }
        }
    });
}

/// The names of all variables.
pub(crate) fn names() -> Vec<String> {
    VARIABLES.with_borrow(|all| all.keys().cloned().collect())
}

/// Runs the body of a cell and notes how it ended.
pub fn guard(body: impl FnOnce() -> Result<(), Left>) -> bool {
    let ending = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => Ending::Done,
        Ok(Err(Left(error))) => Ending::Left(error),
        Err(payload) if payload.is::<Interrupted>() => Ending::Interrupted,
        Err(payload) if payload.is::<Refused>() => Ending::Refused,
        Err(payload) => {
            // A payload whose destructor panics would end the process.
            std::mem::forget(payload);
            Ending::Panicked
        }
    };
    let done = ending == Ending::Done;
    ENDING.set(ending);
    done
}

/// How the cell ended, and the value of its last expression.
pub(crate) fn outcome() -> (Ending, Option<Bundle>) {
    (ENDING.take(), SHOWN.take())
}

/// Makes `bundle` the value of the cell.
pub fn result(bundle: Option<Bundle>) {
    SHOWN.set(bundle);
}

/// Runs `future` to its end on this thread; the kernel calls it for cells that use `.await`.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        poll();
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park_timeout(GLANCE),
        }
    }
}

/// A value that lasts as long as the process, made by `make` the first time.
pub fn lasting<T: 'static>(make: impl FnOnce() -> T) -> &'static T {
    let name = type_name::<T>();
    let known = LASTING.with_borrow(|all| all.get(name).copied());
    if let Some(value) = known.and_then(|value| value.downcast_ref()) {
        return value;
    }
    let value: &'static T = Box::leak(Box::new(make()));
    LASTING.with_borrow_mut(|all| all.insert(name, value));
    value
}

/// Wraps a value whose best form is to be found: by autoref, the first of [`ByShow`],
/// [`ByGraph`](crate::graphs::ByGraph), [`ByDebug`], [`ByNothing`] that its type allows.
pub struct Probe<'a, T: ?Sized>(pub &'a T);

/// What `evcxr_display` yields for a type that has none of its own.
pub struct WithoutMethod;

/// Gives every type an `evcxr_display`; one of its own goes before.
pub trait DisplayMethod {
    /// Says that there is none.
    fn evcxr_display(&self) -> WithoutMethod {
        WithoutMethod
    }
}

impl<T: ?Sized> DisplayMethod for T {}

/// The form of a type that the prelude knows.
pub trait ByShow {
    /// The form.
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle>;
}

impl<T: Show + ?Sized> ByShow for &&&Probe<'_, T> {
    fn bundle<R: 'static>(&self, _: impl FnOnce() -> R) -> Option<Bundle> {
        Some(self.0.bundle())
    }
}

/// The form that the type's own `evcxr_display` writes, or the text of its `Debug`.
pub trait ByDebug {
    /// The form; none for `()`.
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle>;
}

impl<T: Debug + ?Sized> ByDebug for &Probe<'_, T> {
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle> {
        if let Some(bundle) = written(method) {
            return Some(bundle);
        }
        (type_name::<T>() != "()").then(|| Bundle::plain(debug_text(&self.0)))
    }
}

/// The form that the type's own `evcxr_display` writes, or a line that says why there is none.
pub trait ByNothing {
    /// The form.
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle>;
}

impl<T: ?Sized> ByNothing for Probe<'_, T> {
    fn bundle<R: 'static>(&self, method: impl FnOnce() -> R) -> Option<Bundle> {
        written(method).or_else(|| {
            let text = format!(
                "a value of type `{}`, which has no `Debug`",
                type_name::<T>()
            );
            Some(Bundle::plain(text))
        })
    }
}

/// What `method` writes, if it is a method of the type itself.
fn written<R: 'static>(method: impl FnOnce() -> R) -> Option<Bundle> {
    if TypeId::of::<R>() == TypeId::of::<WithoutMethod>() {
        return None;
    }
    let (bundle, around) = bundle::read_blocks(&capture::stdout(method));
    if !around.is_empty() {
        print_text(&around);
    }
    (!bundle.is_empty()).then_some(bundle)
}

fn print_text(text: &str) {
    // Nobody is left to hear that standard output is gone.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

/// Text of `Debug`: in lines where one would be long, cut where it would never end.
pub(crate) fn debug_text(value: &dyn Debug) -> String {
    let short = limited(format_args!("{value:?}"));
    if short.len() <= LINE || short.contains('\n') {
        return short;
    }
    limited(format_args!("{value:#?}"))
}

fn limited(arguments: fmt::Arguments<'_>) -> String {
    struct Limited(String);
    impl fmt::Write for Limited {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            let room = DEBUG_TEXT - self.0.len();
            if text.len() <= room {
                self.0.push_str(text);
                return Ok(());
            }
            self.0.push_str(&text[..text.floor_char_boundary(room)]);
            self.0.push('…');
            Err(fmt::Error)
        }
    }
    let mut out = Limited(String::new());
    // An error means that the text is long enough, or that the value's own `Debug` failed.
    let _ = out.write_fmt(arguments);
    out.0
}

/// The last panic of any thread of the process: message, and where it happened.
static PANIC: Mutex<Option<(String, String)>> = Mutex::new(None);

/// Takes note of panics in place of a backtrace through code that nobody wrote; those of threads beside the cell are
/// told in one line.
pub(crate) fn hear_panics(cell_thread: std::thread::ThreadId) {
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a value that is not a text".to_owned());
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let here = std::thread::current();
        if here.id() == cell_thread {
            let mut last = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
            *last = Some((message, place));
        } else {
            let name = here.name().unwrap_or("without a name").to_owned();
            let line = format!("thread `{name}` panicked: {message}\n");
            // Nobody is left to hear that standard error is gone.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes());
        }
    }));
}

/// Message and place of the last panic of the cell.
pub(crate) fn last_panic() -> Option<(String, String)> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner).take()
}
