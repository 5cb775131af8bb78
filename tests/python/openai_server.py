"""A stand-in for a model server: it speaks OpenAI's HTTP protocol, always answers the same, and fails as it is told."""

import argparse
import asyncio
import collections
import dataclasses
import signal
import socket
import threading

import tornado.httpserver
import tornado.web
from openai_answers import Prefixes
from openai_faults import Behaviour
from openai_handler import Handler, Slots

HOST = "127.0.0.1"


class Server:
    """A server in a thread of its own, from entering to leaving the context."""

    def __init__(self, behaviour=None, port=0, **options):
        self._behaviour = behaviour or Behaviour(**options)
        self.port = port
        self.requests = []
        # Most requests for text or embeddings open at once, those that wait for a slot among them.
        self.most_at_once = 0
        self.n_open = 0
        self.n_drawn = 0
        self.planned = collections.deque()
        self.slots = Slots(self)
        self.prefixes = Prefixes()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.ready = threading.Event()
        self.failure = None

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        if self.failure is not None:
            raise self.failure
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    @property
    def url(self):
        """What a client takes as its base."""
        return f"http://{HOST}:{self.port}{self._behaviour.prefix}"

    @property
    def n_waiting(self):
        """How many requests wait for a slot."""
        return len(self.slots)

    @property
    def behaviour(self):
        """How requests are treated that arrive from now on."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour):
        self._behaviour = behaviour
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.slots.fill)

    def change(self, **options):
        """Behaves differently in these respects."""
        self.behaviour = dataclasses.replace(self._behaviour, **options)

    def plan(self, *kinds):
        """Gives the next requests these faults, in this order, before any is drawn; None is no fault."""
        self.planned.extend(kinds)

    def draw(self):
        """The number of the next request and its fault."""
        self.n_drawn += 1
        return self.n_drawn, self.planned.popleft() if self.planned else self._behaviour.draw(self.n_drawn)

    def run(self):
        """What the thread does."""
        try:
            asyncio.run(self.serve())
        except OSError as error:
            # The port is taken.
            self.failure = error
        finally:
            self.ready.set()

    async def serve(self):
        """Answers until told to stop."""
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        application = tornado.web.Application([(".*", Handler, {"server": self})], log_function=lambda _: None)
        http = tornado.httpserver.HTTPServer(application)
        listener = socket.create_server((HOST, self.port))
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        http.add_socket(listener)
        self.ready.set()
        await self.stop.wait()
        http.stop()
        await http.close_all_connections()


def pair(value):
    """Two parts of an argument, as in `rate_limit=0.1`."""
    name, equals, rest = value.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("must be NAME=VALUE")
    return name, rest


def arguments():
    """The command line: the port, and every field of the behaviour."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", type=lambda names: tuple(names.split(",")), help="names, with commas")
    parser.add_argument("--no-models", action="store_true", help="/models answers 404, and every name is served")
    parser.add_argument("--fault", type=pair, action="append", default=[], metavar="KIND=SHARE")
    parser.add_argument("--script", type=pair, action="append", default=[], metavar="SAID=REPLY")
    for field in dataclasses.fields(Behaviour):
        name = "--" + field.name.removesuffix("_s").replace("_", "-")
        if isinstance(field.default, bool):
            parser.add_argument(name, dest=field.name, action="store_true")
        elif isinstance(field.default, int | float | str) or field.name == "key":
            parser.add_argument(name, dest=field.name, type=type(field.default or ""), default=field.default)
    return parser


def main():
    """Serves until interrupted or terminated."""
    options = vars(arguments().parse_args())
    port, no_models = options.pop("port"), options.pop("no_models")
    options["models"] = None if no_models else options["models"] or Behaviour.models
    options["faults"] = tuple((kind, float(share)) for kind, share in options.pop("fault"))
    options["scripts"] = tuple(options.pop("script"))
    # Before there are threads, so that no other one takes the signal.
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Server(port=port, **options) as server:
        print(server.url, flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
