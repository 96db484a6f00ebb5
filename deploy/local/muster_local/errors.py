"""The one error of this package: a sentence for the person at the terminal. What to do about it is in the sentence."""


class LocalError(Exception):
    """A part could not be started or stopped; the message says what, where and what to do next."""
