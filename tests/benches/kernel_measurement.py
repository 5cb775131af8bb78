"""The figures of a run, taken in turns: each kernel once, then each once more."""

import os
import time
from collections import defaultdict, namedtuple
from contextlib import ExitStack, contextmanager
from pathlib import Path

import kernel_cells as cells
import kernel_processes as processes
from kernel_session import Session
from kernel_table import Figures

COLD_RUNS = 3
NOTHING_RUNS, NOTHING_WARM_UP = 201, 20
COMPLETION_PATIENCE_S = 60
LOG_END = 500
DROP_CACHES = Path("/proc/sys/vm/drop_caches")

# `polars` says how it is there: "in scope", "to be compiled" or not at all.
Peer = namedtuple("Peer", "name argv cells polars")


class Measurement:
    """Measures `peers`, each figure `runs` times."""

    def __init__(self, peers, scratch, runs, say):
        self.peers, self.scratch, self.runs, self.say = peers, scratch, runs, say
        self.figures, self.versions, self.number = Figures(), {}, 1000

    def starts(self):
        """Kernels from their start to their first cells."""
        wanted = self.figures
        for turn in range(self.runs + 1):
            # The first turn only brings into memory what is needed.
            self.figures = wanted if turn else Figures()
            for peer in self.peers:
                self.say(f"start, turn {turn} of {self.runs}: {peer.name}")
                with self.trying("ready", peer), self.session(peer) as session:
                    self.figures.add("ready", peer, session.ready)
                    self.first_cells(session)
                with self.trying("ready stock", peer), self.session(peer, stock=True) as session:
                    self.figures.add("ready stock", peer, session.ready)
                    self.first_polars(session)

    def first_cells(self, session):
        """The very first cells of a kernel that is ready."""
        took = session.run("1 + 1", "2")
        self.figures.add("first", session.peer, took)
        self.figures.add("first result", session.peer, session.ready + took)
        self.figures.add("first let", session.peer, self.let(session))

    def first_polars(self, session):
        """A session that begins with polars, where it need not be compiled first."""
        if session.peer.polars != "in scope":
            return
        self.figures.add("first polars", session.peer, self.polars(session))
        code, wanted = cells.POLARS_COMPLETIONS[0]
        begun = time.perf_counter()
        while time.perf_counter() - begun < COMPLETION_PATIENCE_S:
            if cells.knows(session.complete(self.fresh(code))[1], wanted):
                self.figures.add("first completion", session.peer, time.perf_counter() - begun)
                return
            time.sleep(0.05)
        self.figures.reason("first completion", session.peer, f"not within {COMPLETION_PATIENCE_S} s")

    def cold_starts(self):
        """Starts with nothing of the disk in memory."""
        if not os.access(DROP_CACHES, os.W_OK):
            self.figures.note("cold: left out, only root of a Linux machine can empty the cache of files")
            return
        for turn in range(COLD_RUNS):
            for peer in self.peers:
                self.say(f"cold start, turn {turn + 1} of {COLD_RUNS}: {peer.name}")
                forget_files()
                with self.trying("ready cold", peer), self.session(peer) as session:
                    self.figures.add("ready cold", peer, session.ready)
                    self.figures.add("first cold", peer, session.run("1 + 1", "2"))
                if peer.polars == "in scope":
                    forget_files()
                    with self.trying("first polars cold", peer), self.session(peer) as session:
                        self.figures.add("first polars cold", peer, self.polars(session))

    def steady(self):
        """Kernels that have run for a while; all are there, one works at a time."""
        with ExitStack() as stack:
            sessions = []
            for peer in self.peers:
                with self.trying("expression", peer):
                    session = stack.enter_context(self.session(peer))
                    self.warm_up(session)
                    sessions.append(session)
            self.in_turns("expression", sessions, self.runs, self.expression)
            self.in_turns("let", sessions, self.runs, self.let)
            self.completions("complete std", sessions, lambda peer: peer.cells["std"])
            self.in_turns("nothing", sessions, NOTHING_WARM_UP, lambda session: self.nothing(session) and None)
            self.in_turns("nothing", sessions, NOTHING_RUNS, self.nothing)
            # A kernel that had to compile polars is slower from then on.
            with_polars = [session for session in sessions if session.peer.polars]
            self.in_turns("polars", with_polars, 1, self.warm_up_polars)
            self.in_turns("polars", with_polars, self.runs, self.polars)
            self.in_turns("polars without let", with_polars, self.runs, self.polars_without_let)
            self.in_turns("memory", with_polars, self.runs, self.memory)
            for session in with_polars:
                session.settle()
            self.completions("complete", with_polars, lambda peer: cells.POLARS_COMPLETIONS)
            self.in_turns("complete busy", sessions, self.runs, self.complete_while_busy)

    def warm_up(self, session):
        """What a person has done before the cells that are measured."""
        self.say(f"warm-up: {session.peer.name}")
        for _ in range(2):
            self.expression(session)
            self.let(session)
        session.settle()

    def warm_up_polars(self, session):
        """The same with polars, which may have to be compiled."""
        peer = session.peer
        self.say(f"warm-up with polars: {peer.name}")
        if peer.polars == "to be compiled":
            took = sum(session.run(code) for code in cells.EVCXR_POLARS) + self.polars(session)
            self.figures.add("first polars", peer, took)
        self.polars(session)
        self.polars_without_let(session)
        session.settle()

    def expression(self, session):
        """A cell that adds two numbers."""
        return session.run(self.fresh(session.peer.cells["expression"]), str(self.number + 1))

    def let(self, session):
        """A cell that names a number."""
        return session.run(self.fresh(session.peer.cells["let"]))

    def polars(self, session):
        """The polars cell with a `let` whose type has to be found."""
        return session.run(self.fresh(cells.POLARS), cells.POLARS_SHOWS)

    def polars_without_let(self, session):
        """The polars cell on a value that is already there."""
        return session.run(self.fresh(cells.POLARS_WITHOUT_LET), cells.POLARS_SHOWS)

    def memory(self, session):
        """The most that compiler and linker hold during the polars cell, in a run that is not timed."""
        peer = session.peer
        if not processes.available():
            self.figures.reason("memory", peer, "left out: no /proc")
            return None
        with processes.CompilerMemory(session.pid) as memory:
            self.polars(session)
        if memory.peak > max(self.figures.values["memory", peer.name], default=0):
            self.figures.remarks["memory", peer.name] = ", ".join(
                f"{name} {mib * 1.048576:.0f} MB" for name, mib in sorted(memory.parts.items())
            )
        return memory.peak

    def completions(self, key, sessions, prefixes):
        """Every prefix once to warm up, then at least twice."""
        n_asked, in_vain = defaultdict(int), defaultdict(set)

        def measure(session):
            name, own = session.peer.name, prefixes(session.peer)
            code, wanted = own[n_asked[name] % len(own)]
            took, matches = session.complete(self.fresh(code))
            n_asked[name] += 1
            if not cells.knows(matches, wanted):
                in_vain[name].add(code)
            return took if n_asked[name] > len(own) else None

        longest = max((len(prefixes(session.peer)) for session in sessions), default=0)
        self.in_turns(key, sessions, max(3 * longest, longest + self.runs), measure)
        for session in sessions:
            codes = ", ".join(f"`{code}`" for code in sorted(in_vain[session.peer.name]))
            if codes:
                self.figures.answer_was_wrong(key, session.peer, f"lacked what was wanted: {codes}")

    def complete_while_busy(self, session):
        """A completion that is asked for while a cell sleeps."""
        request = session.begin(session.peer.cells["sleep"], "on")
        code, wanted = (cells.POLARS_COMPLETIONS if session.peer.polars else session.peer.cells["std"])[0]
        took, matches = session.complete(self.fresh(code))
        session.finish(request)
        if not cells.knows(matches, wanted):
            self.figures.answer_was_wrong("complete busy", session.peer, "an answer lacked what was wanted")
        return took

    def nothing(self, session):
        """What does least."""
        return session.run(session.peer.cells["nothing"])

    def in_turns(self, key, sessions, runs, measure):
        """Takes `runs` figures of each session; one that fails is asked no more."""
        self.say(f"{key}, {runs} turns")
        able = list(sessions)
        for _ in range(runs):
            for session in list(able):
                able.remove(session)
                with self.trying(key, session.peer):
                    value = measure(session)
                    able.append(session)
                    if value is not None:
                        self.figures.add(key, session.peer, value)

    def fresh(self, code):
        """`code` with a number that no cell had before."""
        self.number += 1
        return code.replace("@", str(self.number))

    @contextmanager
    def session(self, peer, stock=False):
        """A kernel for one measurement."""
        session = Session(peer, self.scratch, stock)
        if session.version:
            self.versions[peer.name] = session.version
        try:
            yield session
        finally:
            session.stop()

    @contextmanager
    def trying(self, key, peer):
        """Puts down what goes wrong: the other figures are still wanted."""
        try:
            yield
        except Exception as error:
            self.figures.fail(key, peer, f"{type(error).__name__}: {error}")
            self.say(f"{peer.name}, {key}: failed: {error}")
            log = self.scratch / f"{peer.name}.log"
            self.say("its log ends: " + log.read_text(errors="replace")[-LOG_END:] if log.exists() else "it has no log")


def forget_files():
    """Empties the system's cache of files."""
    os.sync()
    DROP_CACHES.write_text("3")
