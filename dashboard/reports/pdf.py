"""One case as a PDF to print or to file: A4, the image first, the decision, what the model said, how it came about."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from fpdf import FPDF
from fpdf.enums import MethodReturnValue, TextDirection, XPos, YPos
from fpdf.fonts import TextStyle
from fpdf.line_break import Fragment, TextLine
from fpdf.prefs import ViewerPreferences
from PIL import Image

from dashboard.answer.diagnosis import diagnosis
from dashboard.answer.patient import person, place_of
from dashboard.answer.saved import NO_BIOPSY, NO_OWN_READ, facts_of, refused
from dashboard.answer.wording import leading_class
from dashboard.reports import wording
from dashboard.reports.directions import in_order_of_sight, runs
from dashboard.reports.printable import FAMILY, OPENING, SPELLED_NOTE, font_files, printable
from dashboard.shell.colours import ACCENT, NEUTRAL
from dashboard.shell.formats import APP_NAME, RESEARCH_USE, percent
from dashboard.shell.times import utc_time
from data.cases.case import Actor, Case, ModelResult, Refusal
from model.analysis.analyzer import Analysis, ModelAnswer
from model.explain.maps import Explanation, colour, overlay
from model.images.rejection import RgbImage
from model.inference.clinical import PatientFacts

# Millimetres.
MARGIN = 15.0
WIDTH = 210.0 - 2 * MARGIN
GAP = 6.0
IMAGE_WIDTH, IMAGE_HEIGHT = (WIDTH - GAP) / 2, (WIDTH - GAP) * 3 / 8
LABEL_WIDTH = 40.0
BAR_LABEL_WIDTH, BAR_VALUE_WIDTH, BAR_HEIGHT = 78.0, 16.0, 2.6
LINE = 4.4
BOX_INDENT = 4.0
HEADING_HEIGHT = 9.0
# Points.
BODY, SMALL, HEADING = 9.0, 7.5, 10.5
# 300 pixels an inch over `IMAGE_WIDTH`: more is not seen on paper.
MAX_IMAGE_SIDE = 1100
JPEG_QUALITY = 92
INK, QUIET, RULE = (32, 38, 42), (92, 102, 108), (214, 218, 220)
# As on the screen: amber means that a person decides; no colour means safe.
AMBER, AMBER_FILL = (204, 136, 0), (255, 246, 224)
NEUTRAL_MARK, NEUTRAL_FILL = (125, 138, 146), (243, 245, 246)
# Stands for the number of pages, up to 99, until it is known; private characters, which `printable` takes out of users'
# text. The longest notes, of one letter a line, fill 58.
TOTAL_PAGES = "\ue000\ue001"


def case_pdf(case: Case, analysis: Analysis, printed_by: Actor, printed_at: datetime) -> bytes:
    """The report of a saved case.

    Args:
        case: from the log.
        analysis: `model.analysis.case_record.recorded_analysis` of it.
        printed_by: who asked for it.
        printed_at: UTC.

    Returns:
        PDF bytes: one to two pages, more where the notes are long. Its metadata name no patient.

    Raises:
        ValueError: the case was answered and the analysis was not.
    """
    answer = None if case.refusal else analysis.answered  # before the report opens its fonts
    with tempfile.TemporaryDirectory() as folder:
        report = _Report(case, printed_at, Path(folder))
        report.add_page()
        _patient(report, case)
        if answer is not None:
            _answered(report, case, analysis.image, answer)
        elif case.refusal is not None:
            _refused(report, case, case.refusal, analysis.image)
        _record(report, case, printed_by, printed_at)
        _limits(report, case, analysis)
        return bytes(report.output())


def _answered(report: FPDF, case: Case, image: RgbImage, answer: ModelAnswer) -> None:
    dx = leading_class(answer.prediction, case.answered.is_flagged)
    _images(report, case, image, answer.explanation, dx)
    _decision(report, case)
    _answer(report, case.answered, facts_of(case))


def _refused(report: FPDF, case: Case, refusal: Refusal, image: RgbImage) -> None:
    _section(report, "Image", IMAGE_HEIGHT + 4 * LINE)
    top = report.y
    factor = min(1, MAX_IMAGE_SIDE / max(image.shape[:2]))
    size = (round(image.shape[1] * factor), round(image.shape[0] * factor))
    shown = np.asarray(Image.fromarray(image).resize(size))
    _image(report, shown, MARGIN, top, wording.image_alt(case.image_width, case.image_height, case.task))
    report.set_xy(MARGIN, top + IMAGE_HEIGHT + 1)
    _text(report, wording.image_size(case), size=SMALL, quiet=True)
    _decision(report, case)
    _section(report, "What the model said")
    _text(report, refused(refusal))


class _Report(FPDF):
    """A4 pages with the report's fonts, head and foot."""

    def __init__(self, case: Case, printed_at: datetime, folder: Path) -> None:
        super().__init__(format="A4", unit="mm")
        self._case_id = case.case_id
        for style, path in font_files(folder).items():
            self.add_font(FAMILY, style, path)
        # Ligatures of Latin letters would hide letters of a hash.
        self.set_text_shaping(True, features={"liga": False})
        self.alias_nb_pages(TOTAL_PAGES)
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(True, MARGIN + 3)
        self.c_margin = 0
        self.set_lang("en")
        self.set_title(wording.title(case.case_id))
        self.set_subject(wording.subject(case.task))
        self.set_creator(APP_NAME)
        self.set_creation_date(printed_at)
        self.viewer_preferences = ViewerPreferences(display_doc_title=True)
        self.set_section_title_styles(TextStyle(FAMILY, "B", HEADING, INK, t_margin=3.0, b_margin=1.2))

    def header(self) -> None:
        self.set_font(FAMILY, "B", 13)
        self.set_text_color(*INK)
        self.cell(WIDTH / 3, 6, APP_NAME)
        self.set_font(FAMILY, "", SMALL)
        self.set_text_color(*QUIET)
        self.cell(WIDTH * 2 / 3, 6, RESEARCH_USE, align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_draw_color(*RULE)
        self.line(MARGIN, self.y + 0.5, MARGIN + WIDTH, self.y + 0.5)
        self.set_y(self.y + 2.5)

    def footer(self) -> None:
        self.set_y(-MARGIN + 2)
        self.set_font(FAMILY, "", SMALL)
        self.set_text_color(*QUIET)
        self.cell(WIDTH, 4, wording.footer(self._case_id, self.page_no(), TOTAL_PAGES), align="C")

    # In place of fpdf2's own, which recurses over letterless text and knows no levels of direction. Its version is
    # pinned, and tests read the page.

    def _preload_bidirectional_text(self, text: str, markdown: bool) -> Sequence[Fragment]:
        """Fragments of one script and one direction, in reading order."""
        fragments: list[Fragment] = []
        shaping = self.text_shaping or {}
        for run in runs(text):
            direction = TextDirection.RTL if run.level % 2 else TextDirection.LTR
            self.text_shaping = shaping | {"level": run.level, "fragment_direction": direction}  # a fragment copies it
            fragments += self._preload_font_styles(run.text, markdown)
        return fragments

    def _render_styled_text_line(self, text_line: TextLine, *args: Any, **kwargs: Any) -> bool:
        return super()._render_styled_text_line(_LineInSight(*text_line), *args, **kwargs)


class _LineInSight(TextLine):
    def get_ordered_fragments(self) -> list[Fragment]:
        return in_order_of_sight(self.fragments, _level)


def _level(fragment: Fragment) -> int:
    return int((fragment.text_shaping_parameters or {})["level"])


# --- Pieces ----------------------------------------------------------------------------------------------------------


def _section(report: FPDF, name: str, height: float = 3 * LINE) -> None:
    """A heading, on a new page where less than `height` would fit below it."""
    if report.will_page_break(HEADING_HEIGHT + height):
        report.add_page()
    report.start_section(name)


def _text(
    report: FPDF, text: str, width: float = WIDTH, style: str = "", size: float = BODY, quiet: bool = False
) -> None:
    """A paragraph at the present place; the place moves below it, at the same left edge."""
    report.set_font(FAMILY, style, size)
    report.set_text_color(*(QUIET if quiet else INK))
    report.multi_cell(width, LINE * size / BODY, text, align="L", new_x=XPos.LEFT, new_y=YPos.NEXT)


def _facts(report: FPDF, facts: Sequence[tuple[str, str]]) -> None:
    """Rows of a quiet label and a value."""
    for label, value in facts:
        report.set_font(FAMILY, "", BODY)
        if report.will_page_break(LINE):
            report.add_page()
        report.set_text_color(*QUIET)
        report.cell(LABEL_WIDTH, LINE, label)
        _text(report, value, WIDTH - LABEL_WIDTH)
        report.set_x(MARGIN)


# --- Sections --------------------------------------------------------------------------------------------------------


def _patient(report: FPDF, case: Case) -> None:
    _section(report, "Case")
    _facts(
        report,
        [
            ("Task", case.task.name),
            ("Patient reference", printable(case.patient.reference) or wording.NOT_STATED),
            ("Patient", person(case.patient)),
            (case.task.words.subject.capitalize(), _place(case)),
            ("Saved", f"{utc_time(case.saved_at)} by {printable(case.saved_by)}, {printable(case.organisation)}"),
            *([("Note", printable(case.lesion.note))] if case.lesion.note else []),
        ],
    )


def _place(case: Case) -> str:
    """Where it was seen, beside the word for what was seen: `back, left`; of an eye `left`."""
    words = place_of(case.task, case.lesion.site, case.lesion.side)
    return words if case.task.has_sites else words.removesuffix(f" {case.task.words.subject}")


def _images(report: FPDF, case: Case, image: RgbImage, explanation: Explanation, dx: str) -> None:
    _section(report, "Image and heatmap", IMAGE_HEIGHT + 4 * LINE)
    top, right = report.y, MARGIN + IMAGE_WIDTH + GAP
    framing = explanation.framing.scaled(MAX_IMAGE_SIDE)
    shown = np.asarray(Image.fromarray(image).resize((framing.image_width, framing.image_height)))
    # A map without evidence would be noise stretched to full colour.
    laid_over = overlay(shown, explanation.heatmap(dx), framing) if explanation.has_evidence(dx) else shown
    caption = wording.heatmap_caption(explanation, dx, case.answered)
    _image(report, shown, MARGIN, top, wording.image_alt(case.image_width, case.image_height, case.task))
    _image(report, laid_over, right, top, caption)
    below = top + IMAGE_HEIGHT + 1
    report.set_xy(MARGIN, below)
    _text(report, wording.image_size(case), IMAGE_WIDTH, size=SMALL, quiet=True)
    _legend(report, right, below)
    report.set_xy(right, below + LINE)
    _text(report, caption, IMAGE_WIDTH, size=SMALL, quiet=True)
    report.set_x(MARGIN)


def _image(report: FPDF, image: RgbImage, left: float, top: float, alt: str) -> None:
    """An image in its box, whole and undistorted."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    report.image(file, left, top, IMAGE_WIDTH, IMAGE_HEIGHT, alt_text=alt, keep_aspect_ratio=True)


def _legend(report: FPDF, left: float, top: float) -> None:
    """The colours of the heatmap from 0 to 1."""
    strip = io.BytesIO()
    Image.fromarray(colour(np.linspace(0, 1, 256, dtype=np.float32)[np.newaxis])).save(strip, "PNG")
    report.set_font(FAMILY, "", SMALL)
    report.set_text_color(*QUIET)
    report.text(left, top + 2.6, "0")
    report.image(strip, left + 3, top + 0.6, IMAGE_WIDTH - 6, 2.2, alt_text="Colours of the heatmap, from 0 to 1")
    report.text(left + IMAGE_WIDTH - 2, top + 2.6, "1")


def _decision(report: FPDF, case: Case) -> None:
    _section(report, "Decision")
    read = case.own_read
    own = (
        wording.own_read(read, printable(diagnosis(case.task, read))) if read else (wording.OWN_READ_LABEL, NO_OWN_READ)
    )
    _facts(
        report,
        [
            own,
            (
                "Decision" if case.refusal else "Decision after it",
                f"{printable(diagnosis(case.task, case.decision))}, {case.decision.plan}",
            ),
            *([("Why", printable(case.decision.reason))] if case.decision.reason else []),
            ("Compared", wording.changed(case)),
            (case.task.words.examination.capitalize(), _examined(case)),
        ],
    )


def _examined(case: Case) -> str:
    biopsy = case.biopsy
    if biopsy is None:
        return NO_BIOPSY
    facts = f"{printable(diagnosis(case.task, biopsy))}, reported on {biopsy.reported_on.isoformat()}"
    return f"{facts}. {printable(biopsy.note)}" if biopsy.note else facts


def _answer(report: FPDF, result: ModelResult, facts: PatientFacts) -> None:
    _section(report, "What the model said")
    _boxed(report, wording.verdict(result, facts), wording.measured_meaning(result), result.is_flagged)
    positive, negative = wording.sides(result.task)
    _bar(report, positive, result.p_positive, ACCENT, result.threshold)
    _bar(report, negative, 1 - result.p_positive, NEUTRAL)
    report.set_y(report.y + 1.5)
    for one, share in sorted(zip(result.task.classes, result.probabilities, strict=True), key=lambda pair: -pair[1]):
        _bar(report, result.task.titled(one.code), share, one.colour)
    report.set_y(report.y + 1)
    mark_note = wording.mark_note(result.task)
    for sentence in (*wording.answer_notes(result), mark_note):
        _text(report, sentence, size=SMALL + 0.5, quiet=sentence == mark_note)


def _boxed(report: FPDF, first: str, second: str, is_flagged: bool) -> None:
    """Two sentences on a tint with a mark at the left: amber where the image is flagged, grey where it is not."""
    height = _height(report, first, "B") + _height(report, second, "") + 3
    if report.will_page_break(height):
        report.add_page()
    top = report.y
    report.set_fill_color(*(AMBER_FILL if is_flagged else NEUTRAL_FILL))
    report.rect(MARGIN, top, WIDTH, height, "F")
    report.set_fill_color(*(AMBER if is_flagged else NEUTRAL_MARK))
    report.rect(MARGIN, top, 1.2, height, "F")
    report.set_xy(MARGIN + BOX_INDENT, top + 1.5)
    _text(report, first, WIDTH - 2 * BOX_INDENT, "B")
    _text(report, second, WIDTH - 2 * BOX_INDENT)
    report.set_xy(MARGIN, top + height + 2)


def _height(report: FPDF, text: str, style: str) -> float:
    """Of a paragraph in the box, millimetres."""
    report.set_font(FAMILY, style, BODY)
    width = WIDTH - 2 * BOX_INDENT
    return float(report.multi_cell(width, LINE, text, align="L", dry_run=True, output=MethodReturnValue.HEIGHT))  # type: ignore[arg-type]


def _bar(report: FPDF, name: str, share: float, hue: str, threshold: float | None = None) -> None:
    """One probability in words and as a bar."""
    if report.will_page_break(LINE):
        report.add_page()
    top, left = report.y, MARGIN + BAR_LABEL_WIDTH + BAR_VALUE_WIDTH + 3
    length = MARGIN + WIDTH - left
    report.set_font(FAMILY, "", BODY)
    report.set_text_color(*INK)
    report.cell(BAR_LABEL_WIDTH, LINE, name)
    report.cell(BAR_VALUE_WIDTH, LINE, percent(share), align="R")
    bar_top = top + (LINE - BAR_HEIGHT) / 2
    report.set_fill_color(236, 239, 240)
    report.rect(left, bar_top, length, BAR_HEIGHT, "F")
    report.set_fill_color(hue)
    report.rect(left, bar_top, length * share, BAR_HEIGHT, "F")
    if threshold is not None:
        report.set_fill_color(*INK)
        report.rect(left + length * threshold - 0.2, bar_top - 0.6, 0.4, BAR_HEIGHT + 1.2, "F")
    report.set_xy(MARGIN, top + LINE)


def _record(report: FPDF, case: Case, printed_by: Actor, printed_at: datetime) -> None:
    result = case.result
    _section(report, "How this came about", 9 * LINE)
    printed = f"{utc_time(printed_at)} by {printable(printed_by.name)}, {printable(printed_by.organisation)}"
    _facts(
        report,
        [
            ("Case", str(case.case_id)),
            (case.task.words.subject.capitalize(), str(case.lesion.lesion_id)),
            ("Image SHA-256", case.image_sha256),
            ("Image quality", wording.quality(result)),
            ("Model", wording.model(result)),
            ("Weights SHA-256", result.artifact_sha256),
            *_of_answer(result),
            ("Printed", printed),
        ],
    )


def _of_answer(result: ModelResult | Refusal) -> list[tuple[str, str]]:
    if isinstance(result, Refusal):
        return []
    return [("Threshold", wording.operating_point(result).capitalize()), ("Heatmap", result.heatmap_method)]


def _limits(report: FPDF, case: Case, analysis: Analysis) -> None:
    _section(report, "What this report does not prove")
    spelled = [SPELLED_NOTE] if OPENING in printable("".join(_typed(case))) else []
    limits = wording.limits_without_answer(case.task)
    if case.refusal is None:
        rows, columns = analysis.answered.explanation.heatmaps.shape[1:]
        limits = wording.limits(rows, columns, case.task)
    for sentence in (*limits, *spelled):
        report.set_x(MARGIN)
        report.set_font(FAMILY, "", SMALL + 0.5)
        if report.will_page_break(LINE):
            report.add_page()
        report.cell(4, LINE, "·")
        _text(report, sentence, WIDTH - 4, size=SMALL + 0.5)
        report.set_x(MARGIN)


def _typed(case: Case) -> list[str]:
    """Everything in a case that a user typed."""
    biopsy = [case.biopsy.note, case.biopsy.other] if case.biopsy else []
    own = [case.own_read.other] if case.own_read else []
    decided = [case.decision.reason, case.decision.other]
    return [case.patient.reference, case.lesion.note, *own, *decided, *biopsy, case.saved_by, case.organisation]
