"""Dermoscopic images of skin lesions: the seven HAM10000 diagnoses, malignant or benign.

Source:
    Tschandl, Rosendahl, Kittler, Scientific Data 2018;5:180161, doi:10.1038/sdata.2018.161.
"""

from __future__ import annotations

from data.tasks.task import AGE, SITE, Dataset, Question, Task, TaskClass, Words

SKIN = Task(
    key="skin",
    name="Skin lesions",
    # Alphabetical, as Keras sorts class folders. Colours: Okabe & Ito 2008, "Color Universal Design",
    # https://jfly.uni-koeln.de/color/ (distinguishable in all common forms of colour blindness); the grey is the one
    # R's palette "Okabe-Ito" adds. Its yellow and black are left out: one fades on a light page, the other on a dark
    # one. Warm for the malignant group, cool or grey for the benign one.
    classes=(
        TaskClass(
            "akiec",
            "Actinic keratosis or intraepithelial carcinoma",
            "actinic keratoses or intraepithelial carcinomas",
            "#E69F00",
            "Carcinoma that has not left the epidermis (Bowen's disease), or its precursor.",
            ("ak", "actinic keratosis", "actinic keratoses", "bowen's disease"),
        ),
        TaskClass(
            "bcc",
            "Basal cell carcinoma",
            "basal cell carcinomas",
            "#CC79A7",
            "A common skin cancer that seldom spreads.",
        ),
        TaskClass(
            "bkl",
            "Benign keratosis-like lesion",
            "benign keratosis-like lesions",
            "#999999",
            "Seborrheic keratosis, solar lentigo or lichen-planus-like keratosis.",
            ("benign keratosis", "pigmented benign keratosis"),
        ),
        TaskClass("df", "Dermatofibroma", "dermatofibromas", "#A99400", "A benign nodule of fibrous tissue."),
        TaskClass("mel", "Melanoma", "melanomas", "#D55E00", "Cancer of the pigment cells, in situ or invasive."),
        TaskClass(
            "nv",
            "Melanocytic nevus",
            "nevi",
            "#0072B2",
            "A mole: benign growth of pigment cells.",
            ("nevus", "naevus", "melanocytic naevus"),
        ),
        TaskClass(
            "vasc",
            "Vascular lesion",
            "vascular lesions",
            "#56B4E9",
            "Angioma, angiokeratoma, pyogenic granuloma or haemorrhage.",
            ("vascular",),
        ),
    ),
    is_ordinal=False,
    question=Question(
        key="malignant",
        positives=("akiec", "bcc", "mel"),
        positive="malignant",
        negative="benign",
        source="akiec holds in-situ disease and its precursors. HAM10000's authors count it with the malignant classes "
        "in their reader studies (Tschandl et al., Lancet Oncology 2019;20:938, "
        "doi:10.1016/S1470-2045(19)30333-X), and so do we.",
    ),
    gravest="mel",
    look_alike="nv",
    facts=(AGE, SITE),
    artefacts=("ink", "ruler", "hair", "vignette", "bubbles"),
    dicom_kinds=("1.2.840.10008.5.1.4.1.1.77.1.7",),  # Dermoscopic Photography
    dataset=Dataset(
        name="HAM10000",
        population="HAM10000 (dermoscopy clinics in Vienna and Queensland)",
        reference="doi:10.7910/DVN/DBW86T",
        licence="CC BY-NC 4.0",
        commonest="nv",
        counts="ham10000_counts.csv",
        appearance="ham10000_appearance.csv",
        near_copies="ham10000_near_copies.csv",
        source="HAM10000, Tschandl, Rosendahl & Kittler, *Scientific Data* 2018;5:180161, "
        "doi:10.1038/sdata.2018.161; data doi:10.7910/DVN/DBW86T; licence CC BY-NC 4.0. Ages are rounded to 5 years.",
        selection="**Selected lesions.** Lesions in HAM10000 were worth a dermoscopic image; malignant ones are far "
        "more common than in screening.",
        has_masks=True,
        has_repeats=True,
        labelled_by="histopathology, follow-up, expert consensus or confocal microscopy",
        terms="under CC BY-NC 4.0 only: with attribution, not commercially (`LICENSE-WEIGHTS.md`)",
    ),
    words=Words(
        subject="lesion",
        subjects="lesions",
        image="dermoscopic image",
        images="dermoscopic images",
        label="diagnosis",
        labels="diagnoses",
        instrument="dermatoscope",
        around="skin",
        shown="dermoscopic lesion",
        distractions="Ink, rulers, hair and the dark rim of the lens",
        action="excision",
        actions="excisions",
        people="skin types",
        reference="biopsy",
        examination="histopathology",
        dx_type="histo",
    ),
    plans=("no follow-up", "follow-up", "biopsy", "excision", "referral"),
    awaited=("biopsy", "excision"),
)
