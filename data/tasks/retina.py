"""Retinal photographs: five grades of diabetic retinopathy, referable from moderate, vision-threatening from severe on.

Source:
    Wilkinson et al., Ophthalmology 2003;110:1677, doi:10.1016/S0161-6420(03)00475-5 (the international clinical
    scale); APTOS 2019 Blindness Detection, https://www.kaggle.com/c/aptos2019-blindness-detection (graded by it).
"""

from __future__ import annotations

from data.tasks.task import Dataset, Question, Task, TaskClass, Words

RETINA = Task(
    key="retina",
    name="Diabetic retinopathy",
    # Grey, then Okabe & Ito's colours from cool to warm as the disease advances.
    classes=(
        TaskClass("dr0", "No apparent retinopathy", "no retinopathy", "#999999", "No abnormalities.", ("0",)),
        TaskClass(
            "dr1", "Mild nonproliferative retinopathy", "mild retinopathy", "#56B4E9", "Microaneurysms only.", ("1",)
        ),
        TaskClass(
            "dr2",
            "Moderate nonproliferative retinopathy",
            "moderate retinopathy",
            "#0072B2",
            "More than microaneurysms only, but less than severe.",
            ("2",),
        ),
        TaskClass(
            "dr3",
            "Severe nonproliferative retinopathy",
            "severe retinopathy",
            "#E69F00",
            "Many haemorrhages, venous beading or vessel anomalies, without new vessels.",
            ("3",),
        ),
        TaskClass(
            "dr4",
            "Proliferative retinopathy",
            "proliferative retinopathy",
            "#D55E00",
            "New vessels, or bleeding before the retina.",
            ("4",),
        ),
    ),
    is_ordinal=True,
    question=Question(
        key="referable",
        positives=("dr2", "dr3", "dr4"),
        positive="referable",
        negative="not referable",
        source="Moderate or worse is referred to an ophthalmologist, as in Gulshan et al., JAMA 2016;316:2402, "
        "doi:10.1001/jama.2016.17216.",
    ),
    further=(
        Question(
            key="vision_threatening",
            positives=("dr3", "dr4"),
            positive="vision-threatening",
            negative="not vision-threatening",
            source="Severe nonproliferative or proliferative, as in Ting et al., JAMA 2017;318:2211, "
            "doi:10.1001/jama.2017.18152. Macular oedema, which threatens vision as well, is not graded.",
        ),
    ),
    gravest="dr4",
    look_alike="dr3",
    facts=(),
    # Ophthalmic Photography of 8 and of 16 bits.
    dicom_kinds=("1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.840.10008.5.1.4.1.1.77.1.5.2"),
    dataset=Dataset(
        name="APTOS 2019",
        population="APTOS 2019 (screening in rural India, Aravind Eye Hospital)",
        reference="https://www.kaggle.com/c/aptos2019-blindness-detection",
        licence="for research use",
        commonest="dr0",
        counts="aptos2019_counts.csv",
        appearance="aptos2019_appearance.csv",
        near_copies="aptos2019_near_copies.csv",
        source="APTOS 2019 Blindness Detection, https://www.kaggle.com/c/aptos2019-blindness-detection; for research "
        "use. No patient, age or sex is stated, nor which eye: photographs that are the same pixel for pixel count as "
        "one eye. In 30 of the 123 groups of such photographs the grades differ, which says how far one grader can be "
        "relied upon.",
        selection="**Graded once.** Each photograph was graded by one clinician. Of 123 that were graded twice or "
        "more, 30 were graded differently; nothing is measured on those 30, so that the figures leave out what is hard "
        "to grade. Eleven eyes more are in it under two ids, nearly pixel for pixel and mostly with another grade; of "
        "two of them retina 1.1 was trained on the one photograph and is measured on the other, which it gives the "
        "grade of the first.",
        labelled_by="clinicians, by the international clinical scale",
    ),
    words=Words(
        subject="eye",
        subjects="eyes",
        image="retinal photograph",
        images="retinal photographs",
        label="grade",
        labels="grades",
        instrument="fundus camera",
        around="retina",
        action="referral",
        actions="referrals",
        examination="reference grading",
    ),
    sides=("left", "right", "unknown"),
)
