"""The tasks that there are, by their key."""

from __future__ import annotations

from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import Task

TASKS: dict[str, Task] = {task.key: task for task in (SKIN, RETINA)}
# Case logs and artifacts from before there were tasks are of this one, which is also what is trained without a choice.
DEFAULT_TASK = SKIN.key
