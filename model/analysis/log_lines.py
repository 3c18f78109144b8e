"""Lines of a log: what is told of analysed images, by the API and the dashboard alike, as JSON or as text.

No image, file name, token, user or address is among the fields, and of an exception a JSON line holds the class and
where it arose, not its message.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from model.analysis.analyzer import Analysis
from model.analysis.cloudwatch import embedded_metrics

# A field for CloudWatch alone, which wants a number for every class: it stands in no line.
CLASSES = "classes"


@dataclass
class RequestRecord:
    """What is known of one request, or of one upload to the dashboard; its log line is made of it.

    Attributes:
        request_id: the caller's, where it is a UUID, or a new one.
        images: how many the request brought.
        reason: of a problem or refusal; of the last image in a batch.
        seconds: by stage, summed over the images.
        predictions: images by predicted code.
        classes: codes that could have been predicted; none before an image was answered.
        refusals: images that cannot be judged or read, by reason.
        ood_scores: each image's distance from the training images.
    """

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    images: int = 0
    reason: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    predictions: dict[str, int] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    refusals: dict[str, int] = field(default_factory=dict)
    ood_scores: list[float] = field(default_factory=list)

    def observe(self, analysis: Analysis) -> None:
        """Add what an image was answered with."""
        self.ood_scores.append(round(analysis.quality.ood_score, 3))
        if analysis.answer is not None:
            prediction = analysis.answer.prediction
            self.classes = prediction.task.codes
            self.predictions[prediction.dx] = self.predictions.get(prediction.dx, 0) + 1
        elif analysis.quality.refusal is not None:
            self.refuse(analysis.quality.refusal)

    def refuse(self, reason: str) -> None:
        """Add an image that was not answered."""
        self.refusals[reason] = self.refusals.get(reason, 0) + 1

    def add(self, seconds: dict[str, float]) -> None:
        """Add the stages of one image."""
        for stage, value in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + value

    def fields(self, seconds: float) -> dict[str, Any]:
        """Fields of the log line, without the id; `seconds` from first to last."""
        stages = self.seconds | {"total": seconds}
        return {
            "reason": self.reason,
            "images": self.images,
            "predictions": self.predictions,
            CLASSES: self.classes,
            "refusals": self.refusals,
            "ood_scores": self.ood_scores,
            "ms": {stage: round(value * 1000, 2) for stage, value in stages.items()},
        }


class JsonFormatter(logging.Formatter):
    """One JSON object a line; of an exception its class and place only.

    With `has_metrics`, a request's line is in CloudWatch's embedded metric format as well
    (`model.analysis.cloudwatch`).
    """

    def __init__(self, has_metrics: bool = False) -> None:
        super().__init__()
        self._has_metrics = has_metrics

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        classes = line.pop(CLASSES, ())
        if record.exc_info and record.exc_info[1] is not None:
            line |= where(record.exc_info[1])
        if self._has_metrics and "ms" in line:
            line |= embedded_metrics(line, classes, int(record.created * 1000))
        return json.dumps(line)


class TextFormatter(logging.Formatter):
    """Time, message and fields for a person who reads along; traces in full."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = {name: value for name, value in getattr(record, "fields", {}).items() if name != CLASSES}
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in fields.items())])


class SeldomLines(logging.Filter):
    """Lets so many lines of one place in the code pass a minute, and says with the next one how many it kept back.

    What strangers can cause again and again, such as requests that are none, would fill a disk.
    """

    def __init__(self, most: int = 20, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._seconds, self._clock = most, seconds, clock
        self._kinds: dict[tuple[str, int], _Passed] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        kind = (record.pathname, record.lineno)
        passed = self._kinds.setdefault(kind, _Passed(self._clock()))
        if self._clock() - passed.since >= self._seconds:
            if passed.count > self._most:
                record.msg = f"{record.getMessage()} (and {passed.count - self._most} more like it before)"
                record.args = ()
            passed.since, passed.count = self._clock(), 0
        passed.count += 1
        return passed.count <= self._most


@dataclass
class _Passed:
    since: float
    count: int = 0


def log_to_stdout(formatter: logging.Formatter) -> None:
    """Send the log of this process, from level info, to standard output; replaces what was configured before.

    Of lines that strangers can cause at any rate it takes few: see `SeldomLines`.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.filters[:] = [SeldomLines()]


def where(error: BaseException) -> dict[str, Any]:
    """The class of an exception and the last three frames it came from: fields of a line."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return {
        "error": type(error).__name__,
        "at": [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames],
    }
