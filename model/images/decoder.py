"""The child process that decodes what is not surely cheap, and its client.

No list of headers foresees every file that costs minutes or gigabytes; a process can be ended whatever it does. The
child has limits of processor time and memory of its own, knows none of its parent's settings, and is started on first
use, kept for a minute, and started again if it ends.

Messages are a length and bytes, both ways, over the child's standard input and output: no pickle, no port, and the
child ends when its parent does, because its input closes.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import os
import resource
import select
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

import numpy as np

from model.images.dicom import DicomFacts
from model.images.reading import OpenedImage, read_image
from model.images.rejection import ImageRejected

if TYPE_CHECKING:
    from typing_extensions import Buffer

# The most that images of 49 megapixels take: 5 s (JPEG 2000), and 1.2 GB (WebP).
MAX_CPU_SECONDS = 10
MAX_MEMORY = 1280 * 2**20
# By the clock, for a machine that does other work as well.
MAX_SECONDS = 60.0
_START_SECONDS = 60.0
_IDLE_SECONDS = 60.0
# How long a child whose pipe has closed may take to be gone.
_ENDING_SECONDS = 5.0
_IDLE = 0
_READY = b"ready"
# By control groups of version 2 and 1, as a container sees its own limit.
MEMORY_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_LENGTH = struct.Struct("<Q")
_ROOT = Path(__file__).resolve().parents[2]
# All that the child is given of its parent's environment, so that a file that takes it over finds no key there.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TMPDIR")


def memory_here(limits: Sequence[Path] = MEMORY_LIMITS) -> int:
    """Bytes of memory that this machine has, or this container."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path in limits:
        # Without a limit, version 2 says "max", version 1 a number larger than any memory.
        with contextlib.suppress(OSError, ValueError):
            memory = min(memory, int(path.read_text(encoding="ascii")))
    return memory


class DecoderFailed(OSError):
    """The child process cannot be started."""


class Decoder:
    """Client of one child process; calls from several threads wait for each other."""

    def __init__(self, cpu_seconds: int = MAX_CPU_SECONDS, memory: int = MAX_MEMORY) -> None:
        """What an image may take: so many seconds of one processor, and so many bytes, the child's own among them.

        Never more than half of the memory that there is.
        """
        self._cpu_seconds = cpu_seconds
        self._memory = memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """Process id of the running child; None before first use and after its end."""
        is_running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and is_running else None

    def open(self, content: bytes, seconds: float = MAX_SECONDS) -> OpenedImage:
        """Decode a file as `model.images.reading.read_image` does.

        Args:
            content: the file's bytes.
            seconds: after so many by the clock the child is ended.

        Raises:
            ImageRejected: as `read_image`; `too_costly` where decoding took more time or memory than it may; `damaged`
                where it brought the decoder down.
        """
        with self._lock:
            try:
                return self._asked(content, seconds)
            except ImageRejected:
                raise
            except BaseException:
                # Interrupted: half an answer may be on its way.
                self._end()
                raise

    def close(self) -> None:
        """End the child process; the next call starts another."""
        with self._lock:
            self._end()

    def _asked(self, content: bytes, seconds: float) -> OpenedImage:
        process = self._running()
        try:
            return _exchanged(process, content, seconds)
        except (OSError, EOFError) as error:
            status = self._end(_ENDING_SECONDS)
            if status != _IDLE:
                raise _refusal_of(status) from error
        return self._asked(content, seconds)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            self._end()
            self._process = _started(self._cpu_seconds, min(self._memory, memory_here() // 2))
        return self._process

    def _end(self, seconds: float = 0.0) -> int:
        process, self._process = self._process, None
        return _IDLE if process is None else _ended(process, seconds)


def _ended(process: subprocess.Popen[bytes], seconds: float = 0.0) -> int:
    """The exit status of a child, which is given so long to end by itself; negative: the signal that ended it."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    process.kill()
    for pipe in (process.stdin, process.stdout):
        # What was not yet written cannot be any more.
        with contextlib.suppress(OSError):
            cast(IO[bytes], pipe).close()
    return process.wait()


def _started(cpu_seconds: int, memory: int) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-m", "model.images.decoder", str(cpu_seconds), str(memory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A decoder's warnings hold what is written in the file.
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
        env={**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OPENBLAS_NUM_THREADS": "1"},
    )
    with _killed_after(process, _START_SECONDS):
        try:
            _read(cast(IO[bytes], process.stdout), len(_READY))
        except EOFError as error:
            _ended(process)
            raise DecoderFailed("expected the process that decodes images to start, it ended") from error
    return process


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    # Ending the child makes a read of its pipe end, which has no time limit of its own.
    watchdog = threading.Timer(seconds, process.kill)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


def _exchanged(process: subprocess.Popen[bytes], content: bytes, seconds: float) -> OpenedImage:
    to_child, from_child = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)
    with _killed_after(process, seconds):
        to_child.write(_LENGTH.pack(len(content)))
        to_child.write(content)
        to_child.flush()
        answer = json.loads(_read(from_child, _LENGTH.unpack(_read(from_child, _LENGTH.size))[0]))
        if "reason" in answer:
            raise ImageRejected(answer["reason"], answer["message"])
        pixels = _read(from_child, math.prod(answer["shape"]))
    image = np.frombuffer(pixels, dtype=np.uint8).reshape(answer["shape"])
    dicom = None if answer["dicom"] is None else DicomFacts(**answer["dicom"])
    return OpenedImage(image, dicom, tuple(answer["remarks"]))


def _read(pipe: IO[bytes], size: int) -> bytes:
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError("the pipe was closed")
    return content


def _refusal_of(status: int) -> ImageRejected:
    if status in (-signal.SIGKILL, -signal.SIGXCPU):
        return _too_costly()
    return ImageRejected("damaged", "expected a complete image, received a damaged one; export it again")


def _too_costly() -> ImageRejected:
    return ImageRejected(
        "too_costly",
        f"expected an image that takes at most {MAX_CPU_SECONDS} s and {MAX_MEMORY // 2**20} MB to decode (or half "
        "of what there is), received one that takes more; export it again as a JPEG",
    )


# --- The child -------------------------------------------------------------------------------------------------------


def main(cpu_seconds: int, memory: int) -> None:
    """Decode what comes until nothing has come for a minute."""
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints is no answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit_memory(memory)
    answers.write(_READY)
    answers.flush()
    while select.select([source], [], [], _IDLE_SECONDS)[0]:
        head = source.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return
        _limit_time(cpu_seconds)
        for part in _answer(source.read(_LENGTH.unpack(head)[0])):
            answers.write(part)
        answers.flush()


def _answer(content: bytes) -> tuple[Buffer, Buffer]:
    """The answer as JSON behind its length, and the pixels."""
    try:
        opened = read_image(content)
        dicom = None if opened.dicom is None else asdict(opened.dicom)
        fields = {"shape": opened.image.shape, "remarks": opened.remarks, "dicom": dicom}
        return _framed(fields), np.ascontiguousarray(opened.image).data
    except MemoryError:
        return _refusal(_too_costly()), b""
    except ImageRejected as rejected:
        return _refusal(rejected), b""


def _refusal(rejected: ImageRejected) -> bytes:
    return _framed({"reason": rejected.reason, "message": str(rejected)})


def _framed(fields: Mapping[str, object]) -> bytes:
    head = json.dumps(fields).encode()
    return _LENGTH.pack(len(head)) + head


def _limit_time(cpu_seconds: int) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    # A whole second at least, since the limit counts whole ones.
    soft = math.ceil(used.ru_utime + used.ru_stime) + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _limit_memory(memory: int) -> None:
    """Limit the memory, and have the system end this process before its parent where memory runs out."""
    # macOS has no such limits and no such file.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
