"""Executing the cells: one after the other, saved after each, until one fails or something ends the run."""

import asyncio
import os
import signal
from contextlib import suppress
from typing import NamedTuple

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from .progress import COLOURS, duration, head, last
from .record import Status, now, write

SHOWN = ("stream", "display_data", "update_display_data", "execute_result")
STARTUP_SECONDS = 120
# An interrupt ends a cell within a second; what does not hear it is ended with the kernel.
GRACE_SECONDS = 10
SHUTDOWN_SECONDS = 10
TICK_SECONDS = 0.5
LOG_LINES = 5
# What stands for an error where the kernel gives none.
NAMES = {
    Status.DEAD: "KernelDied",
    Status.TIMEOUT: "TimedOut",
    Status.INTERRUPTED: "Interrupted",
    Status.UNWRITABLE: "Unwritable",
}


class Stop(NamedTuple):
    """Why a run ends before its end."""

    status: Status
    why: str
    more: tuple = ()


class Limits(NamedTuple):
    """The most that the whole run and a cell may take, in seconds; nothing is no limit."""

    run: float
    cell: float


class Execution(NotebookClient):
    """A notebook on its way through a kernel."""

    def __init__(self, notebook, kernel, cwd, limits, folder, record, progress):
        super().__init__(
            notebook,
            kernel_name=kernel,
            timeout=None,
            startup_timeout=STARTUP_SECONDS,
            resources={"metadata": {"path": str(cwd)}},
        )
        # What nbclient has to say on its own is said by us.
        self.log.disabled = True
        self._limits = limits
        self._folder = folder
        self._record = record
        self._progress = progress
        self._place = "before the first cell"
        self._stop = None
        self._hurry = None
        # Started by `%batch`, the run ends with the kernel that wants its result.
        self._starter = os.getppid() if os.environ.get("MLK8S_IN_BATCH") else None
        to_run = [at for at, cell in enumerate(notebook.cells) if self._is_run(cell)]
        self.numbers = {at: number for number, at in enumerate(to_run, start=1)}

    def run(self):
        """Executes the cells; what became of them. The notebook, the record and the folder then say it, too."""
        return asyncio.run(self._run())

    async def _run(self):
        loop = asyncio.get_running_loop()
        self._stop = loop.create_future()
        self._hurry = asyncio.Event()
        caught = self._catch(loop)
        if self._limits.run:
            text = f"the run has taken its {duration(self._limits.run)}"
            loop.call_later(self._limits.run, self._ask_to_stop, Stop(Status.TIMEOUT, text))
        ticking = asyncio.ensure_future(self._tick())
        try:
            return await self._through_kernel()
        finally:
            ticking.cancel()
            # From here on there is only writing left, which is short.
            for number in caught:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

    def _catch(self, loop):
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
        # `nohup`, for instance, has the hangup ignored, and so it stays.
        caught = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
        for number in caught:
            stop = Stop(Status.INTERRUPTED, f"interrupted ({number.name})")
            loop.add_signal_handler(number, self._ask_to_stop, stop)
        return caught

    def _ask_to_stop(self, stop):
        if self._stop.done():
            self._hurry.set()
        else:
            self._stop.set_result(stop)

    async def _tick(self):
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._progress.tick()
            if self._starter and os.getppid() != self._starter and not self._stop.done():
                self._ask_to_stop(Stop(Status.INTERRUPTED, "the kernel that started it has ended"))

    async def _through_kernel(self):
        self.create_kernel_manager()
        with self._folder.log.open("wb") as log:
            try:
                stop = await self._until_stopped(self._start(log), None)
                return self._ended(stop) if stop else await self._cells()
            except (DeadKernelError, RuntimeError, OSError) as error:
                # Starting it is in nobody's cell; what happens in cells is told there.
                return self._ended(Stop(Status.DEAD, f"the kernel did not start: {error}", self._last_words()))
            finally:
                await self._end_kernel()

    async def _start(self, log):
        await self.async_start_new_kernel(stdout=log, stderr=log)
        await self.async_start_new_kernel_client()
        reply = await self.async_wait_for_reply(self.kc.kernel_info())
        info = reply["content"] if reply else {}
        self.nb.metadata["language_info"] = info.get("language_info", {})
        self._record["kernel"].update(
            implementation=info.get("implementation"), version=info.get("implementation_version")
        )

    async def _cells(self):
        for at, number in self.numbers.items():
            if self._stop.done():
                return self._ended(self._stop.result())
            stop = await self._cell(at, number)
            try:
                self._save(number - 1 if stop else number)
            except OSError as error:
                text = f"`{error.filename or self._folder.path}` cannot be written to: {error.strerror}"
                stop = Stop(Status.UNWRITABLE, text)
            if stop:
                return self._ended(stop)
        self.set_widgets_metadata()
        return Status.FINISHED

    async def _cell(self, at, number):
        """Executes a cell; why the run ends with it, if it does."""
        cell = self.nb.cells[at]
        of = len(self.numbers)
        self._place = f"at cell {number} of {of}, `{head(cell.source)}`"
        self._record["cell"] = number
        with suppress(OSError):
            self._folder.write_record(self._record)
        self._progress.cell(number, of, cell.source)
        try:
            stop = await self._until_stopped(self.async_execute_cell(cell, at), self._limits.cell)
        except CellExecutionError as error:
            return self._failed(cell, number, error)
        except (DeadKernelError, RuntimeError) as error:
            return self._without_answer(cell, Stop(Status.DEAD, f"the kernel died: {error}", self._last_words()))
        if stop:
            return self._without_answer(cell, stop)
        self._progress.cell_done()
        del self._record["cell"]
        return None

    async def _until_stopped(self, work, limit):
        """Awaits `work`; where it is stopped before its end, says why."""
        task = asyncio.ensure_future(work)
        await asyncio.wait({task, self._stop}, timeout=limit or None, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            # Its exception, if it has one, is the caller's; a stop that came with it is heeded before the next cell.
            task.result()
            return None
        if not self._stop.done():
            self._stop.set_result(Stop(Status.TIMEOUT, f"the cell has taken its {duration(limit)}"))
        await self._interrupt(task)
        return self._stop.result()

    async def _interrupt(self, task):
        """Asks the kernel to stop, waits a moment for it, and no longer than that."""
        with suppress(RuntimeError, OSError):
            if self.kc is not None:
                await self.km.interrupt_kernel()
                hurry = asyncio.ensure_future(self._hurry.wait())
                await asyncio.wait({task, hurry}, timeout=GRACE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                hurry.cancel()
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        if task.done() and not task.cancelled():
            # Whatever it ended with came of the interrupt.
            task.exception()

    def _failed(self, cell, number, error):
        """The notebook has the error already; the record gets it, too."""
        outputs = [output for output in cell.outputs if output.output_type == "error"]
        traceback = outputs[-1].traceback if outputs else []
        self._progress.error(number, len(self.numbers), cell.source, error.ename, error.evalue, traceback)
        plain = [COLOURS.sub("", line) for line in traceback]
        self._record["error"] = {"name": error.ename, "value": error.evalue, "traceback": plain}
        return Stop(Status.FAILED, "")

    def _without_answer(self, cell, stop):
        """Marks the cell, so that whoever reads the report sees why nothing follows."""
        name = NAMES[stop.status]
        if not any(output.output_type == "error" for output in cell.outputs):
            lines = [f"{name}: {stop.why}", *stop.more]
            cell.outputs.append(nbformat.v4.new_output("error", ename=name, evalue=stop.why, traceback=lines))
        return stop

    def _ended(self, stop):
        """What the record says of an end before the end."""
        if "cell" in self._record:
            number = self._record["cell"]
            at = next(at for at, one in self.numbers.items() if one == number)
            self._record["failed_cell"] = {"number": number, "source": self.nb.cells[at].source}
        if stop.status is not Status.FAILED:
            self._progress.stopped(stop.why, self._place, stop.more)
            self._record["error"] = {"name": NAMES[stop.status], "value": stop.why, "traceback": stop.more}
        return stop.status

    def _save(self, n_done):
        """What is there so far, on the disk: whatever ends us, the next cell at most is lost."""
        write(self._folder.executed, nbformat.writes(self.nb))
        self._record["cells_done"] = n_done
        self._record["saved"] = now()
        self._folder.write_record(self._record)

    def _last_words(self):
        """What the kernel wrote before it died."""
        with suppress(OSError):
            return tuple(self._folder.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:])
        return ()

    async def _end_kernel(self):
        """Ends the kernel kindly, else by force."""
        # Where the start has failed, nbclient has cleaned up.
        km, kc = self.km, self.kc
        if km is None:
            return
        with suppress(RuntimeError, OSError):
            if kc is not None:
                kc.stop_channels()
            if km.has_kernel:
                ending = asyncio.ensure_future(km.shutdown_kernel(now=not await km.is_alive()))
                await asyncio.wait({ending}, timeout=SHUTDOWN_SECONDS)
                if not ending.done():
                    ending.cancel()
                    await km.shutdown_kernel(now=True)
            await km.cleanup_resources()

    def _is_run(self, cell):
        tags = cell.metadata.get("tags", [])
        return cell.cell_type == "code" and cell.source.strip() and self.skip_cells_with_tag not in tags

    def process_message(self, msg, cell, cell_index):
        """Takes what a cell shows, and tells it."""
        if msg["msg_type"] in SHOWN:
            content = msg["content"]
            text = last(content.get("text") or content.get("data", {}).get("text/plain", ""))
            if text:
                self._progress.shows(text)
        return super().process_message(msg, cell, cell_index)
