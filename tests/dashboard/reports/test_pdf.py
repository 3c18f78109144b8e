"""The printed report: what it says, that no user text breaks it, and that it looks as meant; read back by PDFium."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pypdfium2 as pdfium
import pytest
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from dashboard.reports import wording
from dashboard.reports.pdf import AMBER, MARGIN, case_pdf
from dashboard.reports.printable import SPELLED_NOTE, printable
from data.cases.case import MAX_REFERENCE, MAX_TEXT, Actor, Biopsy, Case, Decision, Lesion, Patient, Read
from data.tasks.retina import RETINA
from data.tasks.skin import SKIN
from data.tasks.task import OTHER, Task
from tests.support.case_log import made_up_refusal
from tests.support.case_log import made_up_result as result_of_task
from tests.support.reports import THRESHOLD, made_up_analysis, made_up_case, made_up_result

PRINTER = Actor("printer@clinic.example", "Made-up clinic", "clinician")
PRINTED_AT = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
POINTS_PER_MM = 72 / 25.4


def printed(case: Case, evidence: float = 5.0) -> bytes:
    return case_pdf(case, made_up_analysis(case, evidence), PRINTER, PRINTED_AT)


@cache
def plain_report() -> bytes:
    return printed(made_up_case())


def pages(content: bytes) -> list[pdfium.PdfPage]:
    return list(pdfium.PdfDocument(content))


def text_of(content: bytes) -> str:
    """All text in one line, as a reader of the document copies it."""
    return " ".join(" ".join(page.get_textpage().get_text_bounded() for page in pages(content)).split())


def with_texts(text: str) -> Case:
    """A case in which a user typed the text wherever they can."""
    case = made_up_case(saved_by=text[:200], organisation=text[:200])
    return replace(
        case,
        patient=Patient(text[:MAX_REFERENCE], 52.0, "female"),
        lesion=Lesion(case.lesion.lesion_id, "back", "left", text),
        decision=Decision("mel", "excision", text),
        biopsy=Biopsy("mel", PRINTED_AT.date(), text),
    )


# What it says


def test_report_says_all_of_a_case() -> None:
    text = text_of(plain_report())
    for said in (
        "Research use only. LesionLens advises, a person decides.",
        "Patient reference MRN-4711",
        "52 years, female",
        "back, left",
        "4 Mar 2026, 05:06 UTC by reader@clinic.example, Made-up clinic",
        "New since spring.",
        "120 x 90 pixels",
        "Grad-CAM, Melanoma (mel)",
        "Read before the AI Melanocytic nevus (nv), fairly sure, follow-up",
        "Decision after it Melanoma (mel), excision",
        "Asymmetric network.",
        "was changed after the AI's answer was seen; it differs from the AI's standout diagnosis, Melanocytic nevus",
        "Melanoma (mel), reported on 2026-03-20. Breslow 0.4 mm.",
        "Flagged as possibly malignant (malignant 34.6 %, threshold 25.0 %).",
        "the model flags 95 of 100 malignant images and 21 of 100 benign images",
        "90 % set: Melanocytic nevus (nv), Melanoma (mel).",
        "the 2 networks behind this answer",
        "Probabilities are calibrated for a made-up clinic.",
        "0f8fad5b-d9cb-469f-a165-70867728950e",
        "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "made-up 0.1, preprocessing 1",
        "a1" * 32,
        "b2" * 32,
        "Set for 95 % sensitivity, threshold 25.0 %",
        "does not show where disease is",
        "LesionLens is no medical device",
        "Printed 6 May 2026, 07:08 UTC by printer@clinic.example",
        "page 1 of 2",
        "page 2 of 2",
    ):
        assert said in text


def test_another_diagnosis_is_printed_as_it_was_typed() -> None:
    text = text_of(
        printed(
            made_up_case(
                own_read=Read(OTHER, "sure", "biopsy", other="Spitz naevus"),
                decision=Decision(OTHER, "excision", other="Merkel 細胞"),
                biopsy=Biopsy(OTHER, PRINTED_AT.date(), other="Squamous cell carcinoma"),
            )
        )
    )
    assert "Read before the AI Other: Spitz naevus, sure, biopsy" in text
    assert "Decision after it Other: Merkel ‹XiBao›, excision" in text and SPELLED_NOTE in text
    assert "Histopathology Other: Squamous cell carcinoma, reported on" in text


def test_case_of_another_task_is_printed_in_its_own_words() -> None:
    case = made_up_case(
        result=result_of_task([0.1, 0.2, 0.3, 0.15, 0.25], RETINA),
        own_read=None,
        decision=Decision("dr4", "referral"),
        biopsy=None,
    )
    text = text_of(printed(case))
    for said in (
        "Flagged as possibly referable (referable 70.0 %, threshold 25.0 %).",
        "Referable (dr2, dr3, dr4) 70 %",
        "Moderate nonproliferative retinopathy (dr2) 30 %",
        "Case Task Diabetic retinopathy Patient reference MRN-4711",
        "Eye left Saved",
        "Reference grading no result yet",
        "other clinics, cameras and patients.",
        "Decision after it Proliferative retinopathy (dr4), referral",
        "The model knows five grades, learned from one dataset (APTOS 2019).",
        "The mark on the bar of referable is the threshold.",
    ):
        assert said in text
    assert "malignant" not in text and "HAM10000" not in text and "diagnos" not in text.replace("for diagnosis", "")


def test_probabilities_are_whole_percents_highest_first() -> None:
    text = text_of(plain_report())
    shown = [f"{one.name} ({one.code})" for one in SKIN.classes]
    lines = re.findall(rf"({'|'.join(map(re.escape, shown))}) (< 1 %|\d+ %)", text)
    values = [value for _, value in lines]
    assert values == ["60 %", "30 %", "5 %", "3 %", "2 %", "< 1 %", "0 %"]
    assert lines[0][0] == "Melanocytic nevus (nv)"


@pytest.mark.parametrize(("p_positive", "is_flagged"), [(THRESHOLD, True), (THRESHOLD - 0.001, False)])
def test_flagged_is_amber_and_unflagged_is_no_all_clear(p_positive: float, is_flagged: bool) -> None:
    content = printed(made_up_case(result=made_up_result(p_positive=p_positive)))
    pixels = np.asarray(pages(content)[0].render(scale=2).to_pil().convert("RGB"))
    assert (pixels == AMBER).all(axis=-1).any() == is_flagged
    assert ("not an all-clear: at this threshold 5 of 100" in text_of(content)) != is_flagged


def test_nothing_on_it_is_green_but_what_the_palette_holds() -> None:
    """The classes' colours hold none either, so that any pixel clearly greener than red and blue is a fault."""
    for page in pages(printed(made_up_case(result=made_up_result(p_positive=0.01)))):
        red, green, blue = np.moveaxis(np.asarray(page.render(scale=1).to_pil().convert("RGB")).astype(int), -1, 0)
        assert not ((green > red + 60) & (green > blue + 60)).any()


def test_read_given_after_the_answer_is_no_read_before_it() -> None:
    text = text_of(printed(made_up_case(own_read=Read("nv", "sure", "biopsy", is_informed=True))))
    assert "Own read Melanocytic nevus (nv), sure, biopsy; given after the answer had been shown" in text
    assert "Read before the AI" not in text and "it is not compared with the decision" in text


def test_what_is_not_known_is_said() -> None:
    case = made_up_case(patient=Patient(), own_read=None, biopsy=None, decision=Decision("nv", "no follow-up"))
    case = replace(case, lesion=Lesion(case.lesion.lesion_id))
    text = text_of(printed(case))
    assert "Patient reference not stated Patient age and sex unknown Lesion site unknown" in text
    assert "Read before the AI not asked for" in text
    assert "No read before the AI was asked for. The decision agrees with the AI's standout diagnosis" in text
    assert "Histopathology no result yet" in text
    assert "Why" not in text and "Note" not in text


def test_threshold_that_was_not_measured() -> None:
    nan = float("nan")
    result = made_up_result(p_positive=0.1, sensitivity=nan, specificity=nan)
    text = text_of(printed(made_up_case(result=result)))
    assert "could not be measured" in text
    assert "nan of" not in text


def test_class_without_evidence_is_drawn_without_colours() -> None:
    with_evidence, without = plain_report(), printed(made_up_case(), evidence=0.5)
    assert "No positive evidence for Melanoma (mel)" in text_of(without)
    image, laid_over = (found.get_bitmap().to_numpy() for found in images(without)[:2])
    np.testing.assert_array_equal(image, laid_over)
    image, laid_over = (found.get_bitmap().to_numpy() for found in images(with_evidence)[:2])
    assert (image != laid_over).any()


def images(content: bytes) -> list[pdfium.PdfImage]:
    """Image, overlay and legend."""
    return list(pages(content)[0].get_objects(filter=[FPDF_PAGEOBJ_IMAGE]))


@pytest.mark.parametrize(("width", "height"), [(120, 90), (90, 120), (3000, 1999), (64, 400)])
def test_both_images_are_whole_and_undistorted(width: int, height: int) -> None:
    found = images(printed(made_up_case(image_width=width, image_height=height)))
    assert len(found) == 3
    sizes = []
    for image in found[:2]:
        left, bottom, right, top = image.get_bounds()
        sizes.append((right - left, top - bottom))
        assert (right - left) / (top - bottom) == pytest.approx(width / height, rel=0.02)
    assert sizes[0] == pytest.approx(sizes[1])


def test_refused_case_is_printed_without_answer_and_heatmap() -> None:
    case = made_up_case(result=made_up_refusal())
    analysis = replace(made_up_analysis(made_up_case()), answer=None)
    report = case_pdf(case, analysis, PRINTER, PRINTED_AT)
    text = text_of(report)
    assert "No answer from the AI: the image does not look like the dermoscopic images" in text
    assert "Decision Melanoma (mel), excision" in text and "7.50" in text and len(images(report)) == 1
    for of_an_answer in ("Grad-CAM", "Threshold", "%", "Flagged", "flagged", "Heatmap"):
        assert of_an_answer not in text


def test_answered_case_needs_an_answered_analysis() -> None:
    case = made_up_case()
    refused = replace(made_up_analysis(case), answer=None)
    with pytest.raises(ValueError, match="answered image"):
        case_pdf(case, refused, PRINTER, PRINTED_AT)


# What a user typed

HOSTILE = "{nb} **bold** __u__ <b>x</b> <script>alert(1)</script> [a](http://b) \x00\x1b[31m =1+1 (a) \\) ET /Alt "


def test_markup_and_control_characters_are_inert() -> None:
    content = printed(with_texts(HOSTILE + "\u202egnihtemos\u2066 \ud800 \ue000."))
    text = text_of(content)
    for shown in ("{nb}", "**bold**", "__u__", "<b>x</b>", "<script>alert(1)</script>", "[a](http://b)", "=1+1"):
        assert shown in text
    assert "gnihtemos ." in text
    assert not re.search("[\x00-\x08\u202e\u2066\ue000]", text)
    # No link, script, form or attachment came of it.
    assert not re.search(rb"/(URI|JavaScript|JS|Launch|AcroForm|EmbeddedFile|Annots)\b", content)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("word " * (MAX_TEXT // 5 - 1) + "END.", 3), ("x" * (MAX_TEXT - 4) + "END.", 3), ("WM" * (MAX_TEXT // 2), 0)],
    ids=["words", "one word", "wide"],
)
def test_long_texts_go_on_over_pages_and_stay_inside_the_margins(text: str, ends: int) -> None:
    content = printed(with_texts(text))
    # Of the note, the reason and the biopsy's note.
    assert text_of(content).replace(" ", "").count("END.") == ends
    assert 2 <= len(pages(content)) <= 5
    for page in pages(content):
        assert_inside_margins(page)


@pytest.mark.parametrize("lines", range(0, 44, 4))
def test_no_heading_stands_alone_at_the_foot_of_a_page(lines: int) -> None:
    content = printed(made_up_case(lesion=Lesion(made_up_case().lesion.lesion_id, note="note\n" * lines)))
    for page in pages(content):
        *_, last, _ = page.get_textpage().get_text_bounded().strip().splitlines()
        assert last.strip() not in {title.get_title() for title in pdfium.PdfDocument(content).get_toc()}


def assert_inside_margins(page: pdfium.PdfPage) -> None:
    text, margin = page.get_textpage(), MARGIN * POINTS_PER_MM - 2
    for index in range(text.count_rects()):
        left, bottom, right, top = text.get_rect(index)
        assert left >= margin and right <= page.get_width() - margin
        assert bottom >= 20 and top <= page.get_height() - margin + 6


def test_many_lines() -> None:
    assert len(pages(printed(with_texts("a" + "\n" * 500 + "b")))) == 2
    longest = printed(with_texts("a\n" * (MAX_TEXT // 2)))
    count = len(pages(longest))
    assert 50 < count < 99
    assert f"page {count} of {count}" in text_of(longest)


def test_scripts_of_the_font_are_printed_as_they_are() -> None:
    scripts = ("Ärztin Łódź İstanbul", "Ελένη", "Жанна", "محمد", "שלום", "ไทย", "საქართველო")
    text = text_of(printed(made_up_case(decision=Decision("mel", "biopsy", ". ".join((*scripts, "हिन्दी"))))))
    for script in scripts:
        assert script in text
    # PDFium splits the joined letters of Devanagari when it copies them.
    assert set("हिन्दी") <= set(text)
    assert SPELLED_NOTE not in text


def boxes_of_note(note: str) -> list[tuple[str, float, float]]:
    """Letters of a note of one line, from left to right, with their left and right edges in points."""
    page = pages(printed(made_up_case(lesion=Lesion(made_up_case().lesion.lesion_id, note=note))))[0].get_textpage()
    label = page.get_charbox(page.get_text_range().index("Note"))
    found = []
    for index in range(page.count_chars()):
        left, bottom, right, _ = page.get_charbox(index)
        if abs(bottom - label[1]) < 5 and left > label[2] + 50:
            found.append((page.get_text_range(index, 1), left, right))
    return sorted(((one, left, right) for one, left, right in found if one.strip()), key=lambda box: box[1:])


@pytest.mark.parametrize(
    ("note", "from_left"),
    [
        ("seen שלום 12 (בדיקה) today", "seen)הקידב)12םולשtoday"),
        ("by محمد علي, seen", "byيلعدمحم,seen"),
        ("שלום nevus 12:30 left", "nevus12:30leftםולש"),
    ],
)
def test_arabic_and_hebrew_inside_an_english_line_run_from_right_to_left(note: str, from_left: str) -> None:
    assert "".join(one for one, _, _ in boxes_of_note(note)) == from_left


def test_arabic_letters_inside_an_english_line_are_joined() -> None:
    gaps = {}
    for name, word in {"joined": "محمد", "apart": "م\u200cح\u200cم\u200cد"}.items():
        letters = [box for box in boxes_of_note(f"by {word} seen") if box[0] in "محد"]
        gaps[name] = max(after[1] - before[2] for before, after in itertools.pairwise(letters))
    assert gaps["joined"] < 0 < gaps["apart"]


def test_names_from_right_to_left_leave_the_words_around_them_in_place() -> None:
    report = printed(made_up_case(saved_by="محمد", organisation="מרפאה 7"))
    page = pages(report)[0].get_textpage()
    text = page.get_text_range()
    left = {letter: page.get_charbox(text.index(letter, text.index("UTC by")))[0] for letter in "מمהد7"}
    assert left["د"] < left["م"] < left["7"] < left["ה"] < left["מ"]


def test_letters_that_the_font_lacks_are_spelled_and_marked() -> None:
    text = text_of(printed(made_up_case(patient=Patient("张伟 4711"))))
    assert "‹ZhangWei› 4711" in text
    assert SPELLED_NOTE in text
    assert SPELLED_NOTE not in text_of(plain_report())


def test_every_character_is_printable_or_spelled(caplog: pytest.LogCaptureFixture) -> None:
    """The library warns of missing glyphs, with the characters: none may reach it."""
    characters = "".join(map(chr, range(0x2FF))) + "".join(map(chr, range(0x2000, 0x2C00, 7)))
    printed(made_up_case(decision=Decision("mel", "biopsy", characters)))
    assert not [record for record in caplog.records if record.levelname != "INFO" and record.name.startswith("fpdf")]


# The file


def test_metadata_name_no_patient_and_no_file() -> None:
    content = plain_report()
    metadata = pdfium.PdfDocument(content).get_metadata_dict(skip_empty=True)
    assert metadata["Title"] == "LesionLens case report 0f8fad5b-d9cb-469f-a165-70867728950e"
    assert "Author" not in metadata
    assert not any("MRN-4711" in value or "Doe" in value for value in metadata.values())
    assert "Doe_Jane" not in text_of(content)


def test_file_has_a_language_a_title_bar_an_outline_and_alternative_texts() -> None:
    content = plain_report()
    document = pdfium.PdfDocument(content)
    assert b"/Lang (en)" in content and b"/DisplayDocTitle true" in content
    assert content.count(b"/Alt ") == 3
    titles = [item.get_title() for item in document.get_toc()]
    assert titles[:3] == ["Case", "Image and heatmap", "Decision"]


def test_report_is_light() -> None:
    large = made_up_case(image_width=2048, image_height=1536)
    assert len(printed(large)) < 1_500_000


@pytest.mark.parametrize("task", [SKIN, RETINA], ids=lambda task: task.key)
def test_own_words_need_no_spelling(task: Task) -> None:
    words = (wording.TITLE, wording.subject(task), wording.mark_note(task), *wording.sides(task))
    assert all(printable(text) == text for text in (*words, *wording.limits(6, 8, task)))


def test_words_of_skin_are_what_they_were() -> None:
    assert wording.sides(SKIN) == ("Malignant (akiec, bcc, mel)", "Benign (bkl, df, nv, vasc)")
    assert wording.limits(6, 8, SKIN)[-2:] == [
        "The model knows seven diagnoses, learned from one dataset (HAM10000). Any other is forced into one of the "
        "seven.",
        "The figures on the threshold come from the locked test lesions of HAM10000; expect worse with other clinics, "
        "cameras and skin types.",
    ]
    assert wording.subject(SKIN) == "Research report on one dermoscopic image"
    assert wording.image_alt(120, 90, SKIN) == "Dermoscopic image of the lesion, 120 by 90 pixels"
