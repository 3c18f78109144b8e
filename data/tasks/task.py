"""A task: the classes that a network tells apart, and what the rest of the program needs to know of them.

Code that measures, stores, serves or draws is given a `Task` (by the artifact, the prediction, the cohort or the case
at hand) and knows no class by name. Adding a task is adding a value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

# What may be known beside the image. A task names those that its clinical terms can use.
AGE, SITE = "age", "site"
# What a person may name beside the classes: something that is none of them. No class of a task has this code.
OTHER = "other"
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def _spelling(text: str) -> str:
    """What is compared of a name: letters and figures, in lower case."""
    return "".join(character for character in text.casefold() if character.isalnum())


@dataclass(frozen=True)
class TaskClass:
    """One class of a task: a diagnosis, or a grade.

    Attributes:
        code: in the dataset, in every CSV and on screen; a word without spaces, commas or `|`.
        name: the long form.
        plural: how a sentence speaks of several: `of the images show nevi`.
        colour: `#rrggbb`, the same on every page.
        summary: one plain sentence for a reader who is not of the field.
        synonyms: what tables of other people call it, besides code, name and plural.
    """

    code: str
    name: str
    plural: str
    colour: str
    summary: str
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A yes/no question of a task, such as malignant against benign.

    Attributes:
        key: short word in names of columns, metrics and subgroups, for example `malignant`.
        positives: codes of the classes whose answer is yes.
        positive, negative: adjectives for the two sides, for example `malignant` and `benign`.
        source: why these classes and no others.
    """

    key: str
    positives: tuple[str, ...]
    positive: str
    negative: str
    source: str

    @property
    def column(self) -> str:
        """The probability of yes in CSV files and in the API, for example `p_malignant`."""
        return f"p_{self.key}"


@dataclass(frozen=True)
class Dataset:
    """What the task's network is trained and tested on, in words for the screen.

    Attributes:
        name: for example `HAM10000`.
        population: whom it shows.
        reference: where it is published.
        licence: of its images, and so of what is derived from them.
        commonest: code of its most common class: what answering always the same scores is what that scores.
        counts: file in `data/` with its counts of images; none where none comes with the program.
        appearance: file in `data/` with size and colours of its lesions; none where none comes with the program.
        near_copies: file in `data/` with its images that are nearly the same; none where none were looked for.
        source: how it is cited, with what a reader of its counts should know; Markdown.
        selection: how its images came to be taken, and what follows; Markdown.
        labelled_by: how its classes were found: `histopathology or follow-up`.
        terms: under which weights may be used that were trained on it; Markdown.
        has_masks: whether someone has outlined the subject in its images.
        has_repeats: whether it holds several photographs of one subject; copies of a file are none.
    """

    name: str
    population: str
    reference: str = ""
    licence: str = ""
    commonest: str = ""
    counts: str = ""
    appearance: str = ""
    near_copies: str = ""
    source: str = ""
    selection: str = ""
    labelled_by: str = ""
    terms: str = ""
    has_masks: bool = False
    has_repeats: bool = False

    @property
    def folder(self) -> Path:
        """Where commands look for its images unless they are told: `data/raw/ham10000`."""
        return Path("data/raw") / self.name.replace(" ", "").lower()


@dataclass(frozen=True)
class Words:
    """Nouns for what screens, reports and the API say.

    Attributes:
        subject, subjects: what an image shows and splits go by, for example `lesion` and `lesions`.
        image, images: for example `dermoscopic image`.
        label, labels: what a class is, for example `diagnosis` and `diagnoses`.
        instrument: what takes such an image, for example `dermatoscope`.
        around: what lies around the subject in an image, for example `skin`.
        shown: what an image shows, where a text is about images that show something else, for example `dermoscopic
            lesion`; empty: the image.
        distractions: what beside the subject may raise a score, at the beginning of a sentence.
        action, actions: what a flag may lead to, for example `excision`.
        people: whom a model may do worse on, besides other clinics and cameras, for example `skin types`.
        reference: what tells for sure what an image shows, in front of `result`, for example `biopsy`.
        examination: how that is found, for example `histopathology`.
        dx_type: the same in a dataset's table, for example `histo`.
    """

    subject: str
    subjects: str
    image: str
    images: str
    label: str
    labels: str
    instrument: str
    around: str
    shown: str = ""
    distractions: str = "Reflections, dust and the rim of the image"
    action: str = "intervention"
    actions: str = "interventions"
    people: str = "patients"
    reference: str = "reference"
    examination: str = "reference reading"
    dx_type: str = "unknown"


@dataclass(frozen=True)
class Task:
    """What a network tells apart.

    Attributes:
        key: short word, in manifests and case logs.
        name: for a selector on screen.
        classes: in the one order of every array; the position is `class_index` everywhere.
        is_ordinal: the classes are grades, least first: the decision is the expected grade and prediction sets have no
            gaps. Otherwise they are names, and the decision weighs each probability against the class's share.
        question: the yes/no question that answers, thresholds and flags are about.
        gravest: code of the class that must least be missed, which studies follow on its own.
        look_alike: code of the class that the gravest one is most easily taken for.
        facts: of `AGE` and `SITE`, those that may move an answer; none for an answer from the image alone.
        dataset: trained and tested on.
        words: for screens.
        further: other yes/no questions, which the network is measured on as well.
        artefacts: keys of what may lie in the picture and is drawn into it to see whether the answer stays
            (`model.images.perturbations`).
        dicom_kinds: SOP classes of DICOM objects that hold such images and no others.
        plans: of `data.cases.case.PLANS`, what a reader may want to do next, least first.
        awaited: of these, the plans that are to bring a reference result.
        sides: of `data.cases.case.SIDES`, on which side of the body a subject may lie.

    Raises:
        ValueError: fewer than two classes, a code that stands twice, is a question's key or `OTHER`, a question whose
            positives are not some of the codes, but not all, two questions of one key, or a gravest class, its
            look-alike or a commonest class that is none of them.
    """

    key: str
    name: str
    classes: tuple[TaskClass, ...]
    is_ordinal: bool
    question: Question
    gravest: str
    look_alike: str
    facts: tuple[str, ...]
    dataset: Dataset
    words: Words
    further: tuple[Question, ...] = ()
    dicom_kinds: tuple[str, ...] = ()
    artefacts: tuple[str, ...] = ()
    plans: tuple[str, ...] = ("no follow-up", "follow-up", "referral")
    awaited: tuple[str, ...] = ("referral",)
    sides: tuple[str, ...] = ("left", "right", "midline", "unknown")

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.codes)) != len(self.classes):
            raise ValueError(f"expected two classes or more with codes of their own, received {', '.join(self.codes)}")
        for question in self.questions:
            self._check(question)
        if len({question.key for question in self.questions}) != len(self.questions):
            raise ValueError("expected questions with keys of their own, received two of one key")
        if OTHER in self.codes:
            raise ValueError(f"expected another code than {OTHER!r}, which stands for what is none of the classes")
        commonest = (self.dataset.commonest,) if self.dataset.commonest else ()
        self.indices_of((self.gravest, self.look_alike, *commonest))

    def _check(self, question: Question) -> None:
        if not 0 < len(set(question.positives) & set(self.codes)) < len(self.classes):
            raise ValueError(f"expected positives among {', '.join(self.codes)}, received {question.positives}")
        if question.key in (*self.codes, OTHER):
            raise ValueError(f"expected a question whose key is no code, received {question.key!r}")
        self.indices_of(question.positives)

    @property
    def questions(self) -> tuple[Question, ...]:
        """Its yes/no questions, the one that answers are about first."""
        return (self.question, *self.further)

    def asking(self, question: Question) -> Task:
        """The task with another of its questions first, so that what measures the question measures that one."""
        return replace(self, question=question, further=tuple(one for one in self.questions if one != question))

    def question_of(self, key: str) -> Question | None:
        """The yes/no question of a key; None for any other text."""
        return next((question for question in self.questions if question.key == key), None)

    @property
    def has_sites(self) -> bool:
        """Whether its images show different places of the body, so that a case says which."""
        return SITE in self.facts

    @property
    def count(self) -> str:
        """How many classes there are, as a sentence says it: `seven`."""
        count = len(self.classes)
        return _NUMBERS[count] if count < len(_NUMBERS) else str(count)

    @property
    def standout(self) -> str:
        """What the class that the model decides on is called, beside the most likely one: `standout diagnosis`."""
        return f"{'expected' if self.is_ordinal else 'standout'} {self.words.label}"

    def worded(self, template: str, **more: str) -> str:
        """A text whose braces name what differs between tasks: `{subject}`, `{Images}`, `{positive}`, `{dataset}`.

        Args:
            template: the text.
            more: what else its braces name.
        """
        return template.format(
            **{**vars(self.words), "shown": self.words.shown or self.words.image},
            positive=self.question.positive,
            Positive=self.question.positive.capitalize(),
            negative=self.question.negative,
            Negative=self.question.negative.capitalize(),
            dataset=self.dataset.name,
            Images=self.words.images.capitalize(),
            Labels=self.words.labels.capitalize(),
            Reference=self.words.reference.capitalize(),
            count=self.count,
            standout=self.standout,
            a_subject=self.a_subject,
            **more,
        )

    @property
    def a_subject(self) -> str:
        """`a lesion`, `an eye`."""
        return f"{'an' if self.words.subject[0] in 'aeiou' else 'a'} {self.words.subject}"

    @property
    def score(self) -> str:
        """What the question's probability is the sum of, the last class (of grades the gravest) first.

        `p(mel) + p(bcc) + p(akiec)`.
        """
        return " + ".join(f"p({self.codes[index]})" for index in reversed(self.positives))

    @cached_property
    def codes(self) -> tuple[str, ...]:
        return tuple(one.code for one in self.classes)

    @cached_property
    def positives(self) -> tuple[int, ...]:
        """Class indices of the question's positive side, in order."""
        return tuple(index for index, code in enumerate(self.codes) if code in self.question.positives)

    def index(self, code: str) -> int:
        """Position of a code; raises ValueError for any other text."""
        try:
            return self.codes.index(code)
        except ValueError:
            raise ValueError(f"expected one of {', '.join(self.codes)}, received {code!r}") from None

    def indices_of(self, codes: Sequence[str]) -> tuple[int, ...]:
        """Positions of codes; raises ValueError for any other text."""
        return tuple(self.index(code) for code in codes)

    def code_of(self, text: str) -> str | None:
        """The code of the class that a text names, however written: `MEL`, `Melanoma`; None where it names none."""
        return self._code_by_spelling.get(_spelling(text))

    @cached_property
    def _code_by_spelling(self) -> dict[str, str]:
        return {
            _spelling(text): one.code
            for one in self.classes
            for text in (*one.synonyms, one.plural, one.name, one.code)
        }

    def named(self, code: str) -> TaskClass:
        """The class of a code; raises ValueError for any other text."""
        return self.classes[self.index(code)]

    def titled(self, code: str) -> str:
        """Name and code of a class, `Melanoma (mel)`; raises ValueError for any other text."""
        return f"{self.named(code).name} ({code})"

    def is_positive(self, code: str) -> bool:
        """Whether a class answers the question with yes; raises ValueError for any other text."""
        return self.index(code) in self.positives

    def side(self, code: str) -> str:
        """The question's word for a class: `malignant` or `benign`; raises ValueError for any other text."""
        return self.question.positive if self.is_positive(code) else self.question.negative


def side_code(task: Task, code: str) -> str:
    """What `asked_alone` calls the side of the question that a class is on; raises ValueError for any other text."""
    return f"{'is' if task.is_positive(code) else 'not'}_{task.question.key}"


def asked_alone(task: Task) -> Task:
    """A task of two classes, the sides of another's question: `not_malignant` and `is_malignant`.

    For networks that are compared with those of the task itself; none is served.
    """
    negative, positive = f"not_{task.question.key}", f"is_{task.question.key}"
    commonest = task.dataset.commonest and side_code(task, task.dataset.commonest)

    def side(code: str, adjective: str, looks_like: str) -> TaskClass:
        name = f"{adjective.capitalize()} {task.words.subject}"
        return TaskClass(
            code,
            name,
            f"{adjective} {task.words.subjects}",
            task.named(looks_like).colour,
            f"{name}: one side of the question.",
        )

    benign = next(code for code in reversed(task.codes) if not task.is_positive(code))
    return replace(
        task,
        key=f"{task.key}_{task.question.key}",
        name=f"{task.name}, {task.question.positive} or {task.question.negative}",
        classes=(
            side(negative, task.question.negative, benign),
            side(positive, task.question.positive, task.gravest),
        ),
        is_ordinal=False,
        question=replace(task.question, positives=(positive,)),
        further=(),
        gravest=positive,
        look_alike=negative,
        dataset=replace(task.dataset, commonest=commonest, counts="", appearance="", near_copies=""),
    )
