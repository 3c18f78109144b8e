"""The part of the model card that no measurement can fill in: what a model is for, and what nobody has tested.

Export writes it into the manifest, so that it travels with the weights.

Source:
    Mitchell et al., FAT* 2019, doi:10.1145/3287560.3287596 (model cards).
"""

from __future__ import annotations

from dataclasses import dataclass

from data.tasks.task import Task

# Markdown.
INTENDED_USE = """\
**For** research and teaching: to look at what a classifier makes of a dermoscopic image, to explore HAM10000, and to
check how far such a classifier can be trusted. **Read by** people who know dermoscopy.

**Not for** diagnosis, triage, screening or any decision about a patient. It is not a medical device. It advises; a
person decides, and sees the patient.
"""
NOT_TESTED: tuple[str, ...] = (
    "**Skin types.** HAM10000 has no skin-type labels and shows mostly light skin. Others measured a HAM10000 model on "
    "the DDI images at an AUROC of 0.72 (skin types I-II) and 0.57 (V-VI) (Daneshjou et al. 2022, "
    "doi:10.1126/sciadv.abq6147).",
    "**Other clinics and devices.** Every figure here was measured on the two sources of HAM10000; other cameras, "
    "light and artefacts were only simulated. Expect worse elsewhere.",
    "**Age and body site elsewhere.** What they add was learnt from who came to two clinics, and which places were "
    "photographed there.",
    "**Phone photographs** without a dermatoscope.",
    "**Diagnoses outside the seven** (squamous cell carcinoma, Merkel cell carcinoma, inflammation). They are forced "
    "into one of the seven, or refused if they look unlike the training images; the check for that is not perfect.",
    "**Children, mucosa, nails, treated lesions, images with a biopsy mark.**",
    "**Use in practice.** Nobody has measured whether people decide better or worse with it.",
)


@dataclass(frozen=True)
class Card:
    """Markdown: what a model is for, and a list of what nobody has tested."""

    intended_use: str
    not_tested: tuple[str, ...]


# Written for a task; any other has what can be said of all, and of it besides.
CARDS: dict[str, Card] = {"skin": Card(INTENDED_USE, NOT_TESTED)}
BESIDES: dict[str, tuple[str, ...]] = {
    "retina": (
        "**Macular oedema and other diseases of the eye.** The photographs are graded for diabetic retinopathy alone.",
        "**Patients.** Which photographs show the same person is not known, so a person may stand on both sides of the "
        "split, and intervals may be too narrow.",
        "**One grader.** Of 123 photographs that were graded twice or more, 30 were graded differently.",
    )
}


def card_of(task: Task) -> Card:
    """The card of a task's models."""
    return CARDS.get(task.key) or Card(
        f"**For** research and teaching: to look at what a classifier makes of a {task.words.image}, to explore "
        f"{task.dataset.name}, and to check how far such a classifier can be trusted. **Read by** people who know "
        f"{task.words.images}.\n\n**Not for** diagnosis, triage, screening or any decision about a patient. It is "
        "not a medical device. It advises; a person decides, and sees the patient.\n",
        (
            f"**Other clinics and devices.** Every figure here was measured on {task.dataset.population}; other "
            "cameras, light and artefacts were only simulated. Expect worse elsewhere.",
            f"**Findings outside the {len(task.classes)} {task.words.labels}.** They are forced into one of them, or "
            "refused if they look unlike the training images; the check for that is not perfect.",
            *BESIDES.get(task.key, ()),
            "**Use in practice.** Nobody has measured whether people decide better or worse with it.",
        ),
    )
