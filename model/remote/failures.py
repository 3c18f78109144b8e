"""What can go wrong with a classifier elsewhere, and what a status means, whatever contract it follows."""

from __future__ import annotations

_TRANSIENT = (429, 500, 502, 503, 504)
_UNAUTHORISED = (401, 403)


class RemoteUnavailable(Exception):
    """The classifier elsewhere cannot be reached, is too slow or refuses to answer."""


class RemoteMismatch(Exception):
    """The classifier elsewhere answered, but not as the model that lies here would."""


class TransientFailure(Exception):
    """One attempt failed in a way that the next may not.

    Args:
        cause: a few words, without addresses or anything that a server wrote.
        pause: seconds the server asked to wait for; 0 where it did not say.
    """

    def __init__(self, cause: str, pause: float = 0) -> None:
        super().__init__(cause)
        self.pause = pause


def check_status(name: str, status: int, retry_after: str = "") -> None:
    """Nothing for 200.

    Args:
        name: of the endpoint.
        status: of HTTP.
        retry_after: that header, as it came; only seconds are understood.

    Raises:
        TransientFailure: too many requests, or a failure of the server.
        RemoteUnavailable: anything else, which would be the same at the next attempt.
    """
    if status == 200:
        return
    if status in _TRANSIENT:
        raise TransientFailure(f"status {status}", float(retry_after) if retry_after.isdecimal() else 0)
    if status in _UNAUTHORISED:
        advice = "check CLASSIFIER_TOKEN, or the rights of this machine's role"
    else:
        advice = "check CLASSIFIER and what runs there"
    raise RemoteUnavailable(f"expected an answer from {name}, received status {status}; {advice}")


def too_slow(name: str, seconds: float) -> RemoteUnavailable:
    """The error for an answer that was not there in time."""
    return RemoteUnavailable(f"expected an answer from {name} within {seconds:g} s, it took longer; try again later")
