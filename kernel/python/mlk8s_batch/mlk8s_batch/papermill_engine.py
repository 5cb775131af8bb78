"""Where papermill meets us: it loads this module as an engine, and with it the translator."""

from papermill.engines import NBClientEngine
from papermill.translators import papermill_translators

from .translator import RustTranslator


class RustEngine(NBClientEngine):
    """The engine that papermill uses anyway; there is no need to name it."""


papermill_translators.register("rust", RustTranslator())
