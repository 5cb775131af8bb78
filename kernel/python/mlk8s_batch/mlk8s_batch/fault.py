"""What keeps a run from starting."""


class Fault(Exception):
    """What failed, and what to type next."""

    def __init__(self, message, hint=""):
        super().__init__(message)
        self.hint = hint
