//! Requests → handlers: the table of contents of what this kernel understands.

use std::sync::Arc;

use crate::handler::{
    comm, complete, debug, execute, history, inspect, interrupt, is_complete, kernel_info,
    shutdown, usage,
};
use crate::kernel::Kernel;
use crate::outbox::Origin;
use crate::wire::{Channel, Message};

/// The types of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    KernelInfo,
    Execute,
    IsComplete,
    Complete,
    Inspect,
    History,
    CommInfo,
    CommOpen,
    CommMsg,
    CommClose,
    Interrupt,
    Shutdown,
    Debug,
    Usage,
    Unknown,
}

/// The types of request by their name on the wire.
const KINDS: [(&str, Kind); 14] = [
    ("kernel_info_request", Kind::KernelInfo),
    ("execute_request", Kind::Execute),
    ("is_complete_request", Kind::IsComplete),
    ("complete_request", Kind::Complete),
    ("inspect_request", Kind::Inspect),
    ("history_request", Kind::History),
    ("comm_info_request", Kind::CommInfo),
    ("comm_open", Kind::CommOpen),
    ("comm_msg", Kind::CommMsg),
    ("comm_close", Kind::CommClose),
    ("interrupt_request", Kind::Interrupt),
    ("shutdown_request", Kind::Shutdown),
    ("debug_request", Kind::Debug),
    ("usage_request", Kind::Usage),
];

impl Kind {
    fn of(name: &str) -> Kind {
        KINDS
            .iter()
            .find(|(known, _)| *known == name)
            .map_or(Kind::Unknown, |&(_, kind)| kind)
    }
}

/// Hands a request to its handler. Whatever could take long goes to a thread of its own, so that this returns soon.
pub(crate) fn dispatch(kernel: &Arc<Kernel>, channel: Channel, message: Message) {
    let kind = Kind::of(message.kind());
    let origin = Origin {
        channel,
        identities: message.identities,
        header: message.header,
    };
    let content = message.content;
    match kind {
        Kind::KernelInfo => kernel.answer(&origin, kernel_info::reply),
        Kind::Execute => execute::queue(kernel, origin, content),
        Kind::IsComplete => kernel.answer(&origin, || is_complete::reply(&content)),
        Kind::Complete if complete::is_quick(kernel, &content) => {
            kernel.answer_soon(&origin, move |kernel| complete::reply(kernel, content));
        }
        Kind::Complete => {
            kernel.answer_aside(&origin, move |kernel| complete::reply(kernel, content));
        }
        Kind::Inspect => {
            kernel.answer_aside(&origin, move |kernel| inspect::reply(kernel, content));
        }
        Kind::History => {
            kernel.answer_from_history(&origin, move |kernel| history::reply(kernel, content));
        }
        Kind::CommInfo => kernel.answer(&origin, comm::info),
        Kind::CommOpen => kernel.attend(&origin, || comm::open(kernel, &origin, &content)),
        Kind::CommMsg | Kind::CommClose => kernel.attend(&origin, || {}),
        Kind::Interrupt => interrupt::interrupt(kernel, &origin),
        Kind::Shutdown => shutdown::shutdown(kernel, &origin, &content),
        Kind::Debug => kernel.answer(&origin, || debug::reply(kernel, &content)),
        Kind::Usage => kernel.answer(&origin, || usage::reply(kernel)),
        Kind::Unknown => kernel.attend(&origin, || ignore(&origin)),
    }
}

fn ignore(origin: &Origin) {
    let name = origin.header.get("msg_type").map(ToString::to_string);
    crate::log(&format!(
        "a request of an unknown type was ignored: {}",
        name.unwrap_or_default()
    ));
}
