"""A process that saves or deletes cases until it is killed: the victim of the fault tests.

    python tests/support/servers/case_saver.py

imports everything once and then reads orders, one JSON object a line; each is done by a forked child. What happens is
written to standard output as it happens: `started PID`, `ready` once the log is open, `begin UUID` before and
`done UUID` after each acknowledged call, `failed CLASS MESSAGE` where a call raises, and `ended` once the child has
been killed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn
from uuid import UUID, uuid4

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from data.cases.case import LOCAL_ACTOR, CaseDraft, Decision, Lesion, ModelResult, Patient, Read, StoredImage
from data.cases.log import CaseLog, open_case_log
from data.cases.storage import open_image_store, stored_image
from data.tasks.skin import SKIN

KEY = b"the key of the fault tests, 32 B"


@dataclass(frozen=True)
class Order:
    """What a child does.

    Attributes:
        database_url, location, endpoint_url: of the case log and the image store.
        deletes: UUIDs of cases to delete, one after the other; None to save new cases without end.
        saves: UUIDs of cases to save first, in turn; then fresh ones.
        max_file_bytes: limit of the size of every file the child writes; None for none.
    """

    database_url: str
    location: str
    endpoint_url: str | None = None
    deletes: tuple[str, ...] | None = None
    saves: tuple[str, ...] = ()
    max_file_bytes: int | None = None


def open_log(order: Order) -> CaseLog:
    """The case log of an order."""
    return open_case_log(order.database_url, open_image_store(order.location, order.endpoint_url), KEY)


def image_of(case_id: UUID) -> StoredImage:
    """The image of a case: noise that only this case has."""
    random = np.random.default_rng(case_id.int)
    return stored_image(random.integers(0, 256, (64, 64, 3), dtype=np.uint8))


def draft_of(case_id: UUID) -> CaseDraft:
    """A made-up case, ready to be saved."""
    result = ModelResult(
        task=SKIN,
        model_name="toy",
        model_version="1.0",
        artifact_sha256="a" * 64,
        preprocessing_version="1",
        probabilities=(0.1, 0.1, 0.1, 0.05, 0.5, 0.1, 0.05),
        population="HAM10000",
        prediction="mel",
        p_positive=0.7,
        conformal_set=("mel", "nv"),
        conformal_level=0.9,
        member_p_positive=(0.6, 0.8),
        quality="ok",
        ood_score=1.5,
        operating_point="sensitivity_95",
        threshold=0.18,
        sensitivity=0.95,
        specificity=0.79,
        heatmap_method="Grad-CAM",
        evidence=bytes(range(256)) * 8,
        runtime_ms=12.5,
    )
    return CaseDraft(
        case_id=case_id,
        captured_name="lesion.jpg",
        patient=Patient(f"reference {case_id}", age=60.0, sex="female"),
        lesion=Lesion(uuid4(), "back", "left", "made up"),
        result=result,
        own_read=Read("nv", "unsure", "follow-up"),
        decision=Decision("mel", "excision", "made up"),
    )


def _main() -> None:
    _warm_up()
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            _obey(Order(**json.loads(line)))
        os.waitpid(child, 0)
        _say("ended")


def _warm_up() -> None:
    """Import, configure and compile before forking what the first save would."""
    with TemporaryDirectory() as folder:
        log = open_log(Order(f"sqlite:///{folder}/cases.db", folder))
        case_id = uuid4()
        log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
        log.delete(case_id, LOCAL_ACTOR)
        log.close()


def _obey(order: Order) -> NoReturn:
    """Do as ordered, then wait to be killed: no child ends in any other way."""
    _say(f"started {os.getpid()}")
    try:
        if order.max_file_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (order.max_file_bytes, order.max_file_bytes))
        log = open_log(order)
        _say("ready")
        if order.deletes is None:
            _save_on(log, [UUID(case_id) for case_id in order.saves])
        else:
            _delete(log, [UUID(case_id) for case_id in order.deletes])
    except Exception as error:
        _say(f"failed {type(error).__name__} {error}".replace("\n", " "))
    while True:
        signal.pause()


def _save_on(log: CaseLog, first: Iterable[UUID]) -> None:
    waiting = list(first)
    while True:
        case_id = waiting.pop(0) if waiting else uuid4()
        _say(f"begin {case_id}")
        log.save(draft_of(case_id), image_of(case_id), LOCAL_ACTOR)
        _say(f"done {case_id}")


def _delete(log: CaseLog, case_ids: Iterable[UUID]) -> None:
    for case_id in case_ids:
        _say(f"begin {case_id}")
        log.delete(case_id, LOCAL_ACTOR)
        _say(f"done {case_id}")


def _say(text: str) -> None:
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


if __name__ == "__main__":
    _main()
