from __future__ import annotations

from dataclasses import replace

import pytest

from data.tasks.known import DEFAULT_TASK, TASKS
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER, Task, asked_alone, side_code


def test_tasks_are_found_by_their_key() -> None:
    assert {key: task.key for key, task in TASKS.items()} == {"skin": "skin", "retina": "retina"}
    assert TASKS[DEFAULT_TASK] is SKIN


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_every_class_has_a_word_a_colour_and_a_sentence(task: Task) -> None:
    for one in task.classes:
        assert one.code and not set(one.code) & set(" ,|")
        assert one.name and one.summary.endswith(".")
        assert len(one.colour) == 7 and int(one.colour[1:], 16) >= 0
        assert task.named(one.code) is one
    assert len({one.colour for one in task.classes}) == len(task.classes)


@pytest.mark.parametrize("wrong", ["", "NV", "nevus", "nv "])
def test_unknown_codes_are_refused_by_name(wrong: str) -> None:
    with pytest.raises(ValueError, match=f"expected one of akiec, .*, received {wrong!r}"):
        SKIN.index(wrong)
    with pytest.raises(ValueError, match="received"):
        SKIN.named(wrong)
    with pytest.raises(ValueError, match="received"):
        SKIN.side(wrong)


def test_question_divides_the_classes() -> None:
    assert RETINA.positives == (2, 3, 4)
    assert [RETINA.side(code) for code in RETINA.codes] == ["not referable"] * 2 + ["referable"] * 3
    assert (SKIN.question.column, RETINA.question.column) == ("p_malignant", "p_referable")


def test_no_class_has_the_code_of_what_is_none_of_them() -> None:
    classes = (replace(RETINA.classes[0], code=OTHER), *RETINA.classes[1:])
    with pytest.raises(ValueError, match="expected another code than 'other'"):
        replace(RETINA, classes=classes)
    with pytest.raises(ValueError, match="received 'other'"):
        RETINA.titled(OTHER)
    with pytest.raises(ValueError, match="expected a question whose key is no code, received 'other'"):
        replace(RETINA, question=replace(RETINA.question, key=OTHER))


@pytest.mark.parametrize("positives", [(), ("akiec", "x"), SKIN.codes])
def test_question_without_two_sides_is_refused(positives: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected"):
        replace(SKIN, question=replace(SKIN.question, positives=positives))


def test_further_questions_divide_the_classes_too_and_can_be_asked_first() -> None:
    (threatening,) = RETINA.further
    assert RETINA.questions == (RETINA.question, threatening) and SKIN.questions == (SKIN.question,)
    asked = RETINA.asking(threatening)
    assert asked.positives == (3, 4) and asked.question.column == "p_vision_threatening"
    assert asked.further == (RETINA.question,) and asked.asking(RETINA.question) == RETINA
    assert asked_alone(asked).further == ()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"positives": ("dr9",)}, "expected positives among"),
        ({"positives": RETINA.codes}, "expected positives among"),
        ({"positives": ("dr4", "dr9")}, "received 'dr9'"),
        ({"key": "dr4"}, "whose key is no code"),
        ({"key": "referable"}, "keys of their own"),
    ],
)
def test_further_question_is_held_to_the_same(wrong: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        replace(RETINA, further=(replace(RETINA.further[0], **wrong),))


def test_the_score_of_the_question_names_its_gravest_class_first() -> None:
    assert SKIN.score == "p(mel) + p(bcc) + p(akiec)"
    assert RETINA.score == "p(dr4) + p(dr3) + p(dr2)"


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_the_commonest_class_is_one_of_the_task(task: Task) -> None:
    assert task.dataset.commonest in task.codes
    with pytest.raises(ValueError, match="expected one of"):
        replace(task, dataset=replace(task.dataset, commonest="x"))


def test_words_of_one_text_alone_can_be_given_to_it() -> None:
    assert SKIN.worded("{subject} {what}, no {shown}", what="x") == "lesion x, no dermoscopic lesion"
    assert RETINA.worded("no {shown}") == "no retinal photograph"


def test_classes_need_codes_of_their_own() -> None:
    with pytest.raises(ValueError, match="codes of their own"):
        replace(SKIN, classes=(*SKIN.classes, SKIN.classes[0]))


def test_question_alone_is_a_task_of_two_sides() -> None:
    alone = asked_alone(SKIN)
    assert alone.codes == ("not_malignant", "is_malignant") and alone.positives == (1,)
    assert alone.key == "skin_malignant" and not alone.is_ordinal and alone.dataset.commonest == "not_malignant"
    assert [alone.side(side_code(SKIN, dx)) for dx in SKIN.codes] == [SKIN.side(dx) for dx in SKIN.codes]
    grades = asked_alone(RETINA)
    assert [grades.index(side_code(RETINA, code)) for code in RETINA.codes] == [0, 0, 1, 1, 1]
    with pytest.raises(ValueError, match="received 'x'"):
        side_code(SKIN, "x")
