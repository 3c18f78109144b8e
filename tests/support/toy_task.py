"""A made-up task that shares nothing with skin: three ordered grades of leaves, for tests that no room knows a task."""

from __future__ import annotations

from data.tasks.task import Dataset, Question, Task, TaskClass, Words

TOY = Task(
    key="toy",
    name="Leaves",
    classes=(
        TaskClass("low", "Hardly blighted", "hardly blighted leaves", "#112233", "A spot or none."),
        TaskClass("middle", "Partly blighted", "partly blighted leaves", "#445566", "Several spots."),
        TaskClass("high", "Wholly blighted", "wholly blighted leaves", "#778899", "Spots everywhere."),
    ),
    is_ordinal=True,
    question=Question(
        key="blighted", positives=("middle", "high"), positive="blighted", negative="sound", source="Made up."
    ),
    gravest="high",
    look_alike="middle",
    facts=(),
    dataset=Dataset(name="Orchard", population="one orchard"),
    words=Words(
        subject="leaf",
        subjects="leaves",
        image="leaf scan",
        images="leaf scans",
        label="grade",
        labels="grades",
        instrument="scanner",
        around="stalk",
    ),
)
