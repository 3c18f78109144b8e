"""What the API does, whatever contract asks: one model, its pool of networks, limits and metrics."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

from data.tasks.known import DEFAULT_TASK, TASKS
from model.analysis.analyzer import Analysis
from model.analysis.answers import Answer, Heatmap, ModelFacts, answer_of, model_facts, overlay_png
from model.analysis.log_lines import RequestRecord
from model.analysis.pool import AnalyzerPool, Finish
from model.analysis.quality import Issue
from model.images.rejection import ImageRejected, RgbImage
from model.inference.artifact import MANIFEST_FILE, Artifact, ArtifactMismatch, load_artifact
from model.server.authorization import authorization_of
from model.server.bodies import SentImage
from model.server.limits import Admission, RateLimit, held_bytes
from model.server.metrics import ServerMetrics
from model.server.problems import Problem, ProblemDetails, rejected
from model.server.request_log import LOGGER
from model.server.settings import ServerSettings

Value = TypeVar("Value")
_FileStates = dict[str, tuple[int, int, int]]


@dataclass(frozen=True)
class Item:
    """The result of one image in a batch: an answer, or the problem with it."""

    answer: Answer | None = None
    problem: ProblemDetails | None = None


@dataclass(frozen=True)
class Batch:
    """The results of several images, in the order they were sent."""

    results: tuple[Item, ...]


class Service:
    """The model behind every route. A bad weights folder does not end the process: `check_readiness` says so."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.metrics = ServerMetrics()
        self.authorization = authorization_of(settings)
        self.rate_limit = RateLimit(settings.rate_per_minute)
        self.admission = Admission(settings.max_waiting, held_bytes())
        self._pool: AnalyzerPool | None = None
        self._files: _FileStates = {}
        self._is_failed = False
        # Of the artifact; of the usual one while none can be loaded, so that the API can describe itself.
        self.task = TASKS[DEFAULT_TASK]
        self.metrics.is_ready.set(1)
        try:
            artifact = load_artifact(settings.model_dir)
            self._files = _file_states(artifact)
            self._pool = AnalyzerPool(artifact, settings.workers or os.cpu_count() or 1)
            self.metrics.set_model(artifact)
            self.task = artifact.task
        except (ArtifactMismatch, OSError) as error:
            self._fail(error)

    def close(self) -> None:
        """Drop what waits."""
        if self._pool is not None:
            self._pool.close()

    def check_readiness(self) -> ModelFacts:
        """The model, if it is still what was loaded. Its files are hashed again only where one was touched.

        Raises:
            Problem: `not_ready`; the log says which file.
        """
        artifact = self._ready_pool().artifact
        try:
            states = _file_states(artifact)
            if states != self._files:
                if load_artifact(artifact.folder).manifest != artifact.manifest:
                    raise ArtifactMismatch("expected the artifact that was loaded, found another; restart")
                self._files = states
        except (ArtifactMismatch, OSError) as error:
            self._fail(error)
            raise _not_ready() from error
        return model_facts(artifact)

    async def answer(self, image: SentImage, heatmap: Heatmap, record: RequestRecord) -> Answer:
        """The answer to one image.

        Raises:
            Problem: it cannot be read, the model is not ready, or the answer takes too long.
        """
        artifact = self._ready_pool().artifact
        answer = await self._analysed(image, partial(answer_of, artifact=artifact, heatmap=heatmap), record)
        record.reason = answer.refusal or record.reason
        return answer

    async def items(self, images: Sequence[SentImage], heatmap: Heatmap, record: RequestRecord) -> list[Item]:
        """A result an image, in order. A batch takes no more of the queue than there are networks, so that others
        get their turn; raises Problem only for what concerns all of them."""
        turns = asyncio.Semaphore(self._ready_pool().workers)
        return list(await asyncio.gather(*(self._item(image, heatmap, record, turns) for image in images)))

    async def overlay(self, image: SentImage, record: RequestRecord) -> bytes:
        """The heatmap of `prediction` over the image, as PNG; raises Problem like `answer`, and `refused`."""
        png, refusal = await self._analysed(image, _overlay_or_refusal, record)
        if png is None:
            raise Problem("refused", f"expected an image that can be judged, received one that is {refusal}")
        return png

    async def prepared(self, image: SentImage, record: RequestRecord) -> RgbImage:
        """What the network would be shown of an image, whether it can be judged or not; raises Problem like `answer`.

        (height, width, 3) uint8 RGB.
        """
        limit = self.settings.time_limit_seconds
        return await self._within_limit(lambda: self._ready_pool().prepare(image.content, limit), record)

    async def _item(self, image: SentImage, heatmap: Heatmap, record: RequestRecord, turns: asyncio.Semaphore) -> Item:
        async with turns:
            try:
                return Item(answer=await self.answer(image, heatmap, record))
            except Problem as problem:
                record.reason = problem.reason
                return Item(problem=problem.details(record.request_id))

    async def _analysed(self, image: SentImage, finish: Finish[Value], record: RequestRecord) -> Value:
        limit = self.settings.time_limit_seconds
        finished = await self._within_limit(
            lambda: self._ready_pool().submit(image.content, finish, image.facts, limit, image.is_prepared), record
        )
        seconds = asdict(finished.seconds)
        record.add(seconds)
        self.metrics.observe_stages(seconds)
        self.metrics.observe_analysis(finished.analysis)
        record.observe(finished.analysis)
        return finished.value

    async def _within_limit(self, submit: Callable[[], Future[Value]], record: RequestRecord) -> Value:
        """What comes of one image that is queued; raises Problem where it cannot be read, or takes too long."""
        record.images += 1
        limit = self.settings.time_limit_seconds
        try:
            async with asyncio.timeout(limit):
                return await asyncio.wrap_future(submit())
        except TimeoutError as error:
            raise Problem(
                "time_limit",
                f"expected to answer within {limit} s, it took longer; try again when there is less to do",
                {"Retry-After": "5"},
            ) from error
        except ImageRejected as error:
            self.metrics.refusals.labels(error.reason).inc()
            record.refuse(error.reason)
            raise rejected(error) from error

    def _ready_pool(self) -> AnalyzerPool:
        if self._pool is None or self._is_failed:
            raise _not_ready()
        return self._pool

    def _fail(self, error: Exception) -> None:
        """Once the weights are wrong no answer is given until a restart: the network lies in the changed file."""
        self._is_failed = True
        self.metrics.is_ready.set(0)
        LOGGER.error("model not ready", extra={"fields": {"detail": str(error)}})


def _overlay_or_refusal(analysis: Analysis) -> tuple[bytes | None, Issue | None]:
    return overlay_png(analysis), analysis.quality.refusal


def _file_states(artifact: Artifact) -> _FileStates:
    """What changes when a file does, without reading it: its place on the disk, size and time."""
    states = ((name, (artifact.folder / name).stat()) for name in (MANIFEST_FILE, *artifact.manifest["files"]))
    return {name: (state.st_ino, state.st_size, state.st_mtime_ns) for name, state in states}


def _not_ready() -> Problem:
    return Problem(
        "not_ready",
        "expected the weights as they were exported, they are missing or have changed; restore the folder and restart",
        {"Retry-After": "60"},
    )
