"""The model card of an artifact, drawn from its manifest: every figure on it was written by a command.

Source:
    Mitchell et al., FAT* 2019, doi:10.1145/3287560.3287596 (model cards).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard import review_wording as wording
from data.diagnoses import DIAGNOSES, DX_CODES
from model.artifact import Artifact

INTENDED_USE = """
**For** research and teaching: to look at what a classifier makes of a dermoscopic image, to explore HAM10000, and to
check how far such a classifier can be trusted. **Read by** people who know dermoscopy.

**Not for** diagnosis, triage, screening or any decision about a patient. It is not a medical device and has not been
tested in clinical use. It advises; a person decides, and sees the patient.
"""
LIMITS = """
- **Skin tone.** HAM10000 has no skin-type labels and shows mostly light skin. Others measured a HAM10000 model on the
  DDI images at an AUROC of 0.72 (skin types I-II) and 0.57 (V-VI) (Daneshjou et al. 2022, doi:10.1126/sciadv.abq6147).
- **Other clinics and devices.** Every figure here was measured on the two sources of HAM10000. Expect worse elsewhere.
- **Seven diagnoses only.** Anything else (squamous cell carcinoma, Merkel cell carcinoma, inflammation) is forced into
  one of them, or refused if it looks unlike the training images; the check for that is not perfect.
- **Not tested:** phone photographs without a dermatoscope, children, mucosa, nails, treated lesions, images with a
  biopsy mark.
- **Selected lesions.** Lesions in HAM10000 were worth a dermoscopic image; malignant ones are far more common than in
  screening. Predictive values change with prevalence: see the Evaluation page.
- **Resolution.** The network looks at {width} x {height} px; it was trained on files of {source_width} x
  {source_height} px. Larger images are reduced the same way before it sees them; fine structures are lost.
- **Heatmaps** show what raised a class score in this network, on a coarse grid. They prove nothing.
"""
LICENCES = """
The program is under the MIT licence. The **weights** were trained on HAM10000, which is CC BY-NC 4.0, and may be used
under CC BY-NC 4.0 only: with attribution, not commercially (`LICENSE-WEIGHTS.md`). They start from ImageNet weights of
Keras Applications (Apache 2.0). The synthetic samples were drawn by this program and belong to it.
"""


def model_card(artifact: Artifact) -> None:
    """Draw the card."""
    manifest = artifact.manifest
    st.markdown("### Intended use")
    st.markdown(INTENDED_USE)
    st.markdown("### What it was measured to do")
    st.caption(_measured_on(manifest))
    left, right = st.columns([4, 5], gap="medium")
    left.dataframe(summary_table(manifest["metrics"]), hide_index=True, width="stretch")
    left.dataframe(operating_point_table(artifact), hide_index=True, width="stretch")
    right.dataframe(class_table(manifest["metrics"]), hide_index=True, width="stretch")
    st.markdown("### Limits")
    source_width, source_height = manifest["training"]["source_pixels"]
    st.markdown(
        LIMITS.format(
            width=artifact.width, height=artifact.height, source_width=source_width, source_height=source_height
        )
    )
    st.markdown("### Data, split and training")
    st.markdown(data_and_training(artifact))
    st.markdown("### Licence")
    st.markdown(LICENCES)
    st.markdown("### Provenance")
    st.markdown(provenance(artifact))
    with st.expander("The whole manifest"):
        st.json(manifest, expanded=1)


def _measured_on(manifest: dict[str, Any]) -> str:
    metrics = manifest["metrics"]
    return (
        f"{metrics['data']}, {metrics['split']} lesions: {metrics['images']:,} images of "
        f"{metrics['lesions']:,} lesions that nothing was trained, chosen or calibrated on. "
        "95 % intervals by bootstrap over lesions."
    )


def _interval(estimate: dict[str, float | None], decimals: int = 3) -> str:
    if estimate["value"] is None:
        return "cannot be said"
    value, low, high = (estimate[name] for name in ("value", "low", "high"))
    if low is None or high is None:
        return f"{value:.{decimals}f}"
    return f"{value:.{decimals}f} ({low:.{decimals}f} to {high:.{decimals}f})"


def summary_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """Overall metrics with their intervals."""
    nevi = metrics["per_class"][DX_CODES.index("nv")]["images"]
    names = {
        "balanced_accuracy": "Balanced accuracy (mean sensitivity of the seven classes)",
        "macro_auroc": "AUROC, mean of the seven classes",
        "malignant_auroc": "AUROC, malignant against benign",
        "calibration_error": "Expected calibration error (0 is perfect)",
        "accuracy": f"Accuracy (always answering nv scores {nevi / metrics['images']:.3f})",
    }
    rows = [(name, _interval(metrics[key])) for key, name in names.items()]
    return pd.DataFrame(rows, columns=["Metric", "Value (95 % interval)"])


def operating_point_table(artifact: Artifact) -> pd.DataFrame:
    """Thresholds on the malignant probability and what they were measured to do."""
    rows = [
        (
            wording.operating_point_name(point),
            f"{point.threshold:.3f}",
            _interval(vars(point.sensitivity)),
            _interval(vars(point.specificity)),
        )
        for point in artifact.operating_points
    ]
    return pd.DataFrame(rows, columns=["Set to", "Threshold", "Sensitivity", "Specificity"])


def class_table(metrics: dict[str, Any]) -> pd.DataFrame:
    """Sensitivity, specificity and AUROC of each class against the rest."""
    rows = [
        (
            f"{diagnosis.name} ({diagnosis.dx})",
            row["images"],
            _interval(row["sensitivity"], 2),
            _interval(row["specificity"], 2),
            _interval(row["auroc"], 2),
        )
        for diagnosis, row in zip(DIAGNOSES, metrics["per_class"], strict=True)
    ]
    return pd.DataFrame(rows, columns=["Diagnosis", "Images", "Sensitivity", "Specificity", "AUROC"])


def data_and_training(artifact: Artifact) -> str:
    """How the weights came about, from the manifest."""
    manifest = artifact.manifest
    training, split, recipe = manifest["training"], manifest["split"], manifest["training"]["recipe"]
    parts = ", ".join(
        f"{part['part']} {part['images']:,} images of {part['lesions']:,} lesions"
        for part in (training["training"], training["validation"])
    )
    phases = ", ".join(f"{phase} {count}" for phase, count in training["epochs_by_phase"].items())
    averaged = recipe["averaged_epochs"]
    weights = "those of the last epoch" if averaged == 1 else f"the mean of the last {averaged} epochs"
    source_width, source_height = training["source_pixels"]
    calibration = artifact.calibration
    return f"""
- **Data:** {training["data"]}; {parts}. Diagnoses by histopathology, follow-up, expert consensus or confocal
  microscopy; how a diagnosis was made never enters the model.
- **Split:** by `{split["by"]}`, seed {split["seed"]}; {split["test_share"]:.0%} of the lesions of each diagnosis are a
  locked test part.
- **Network:** {manifest["network"]["backbone"]}, {manifest["network"]["parameters"]:,} parameters, input
  {artifact.width} x {artifact.height} px; initial weights `{recipe["init"]}`.
- **Training:** epochs by phase: {phases}; the weights are {weights};
  class sampling `{recipe["sampling"]}`; seed {recipe["seed"]}; image files of {source_width} x {source_height} px.
- **Calibration:** temperature {calibration.temperature:.2f} and prior correction, chosen on
  {manifest["calibration"]["chosen_on"]["images"]:,} validation images; for {calibration.population}.
- **Decision:** {manifest["decision"]}.
- **Refusal:** out-of-distribution limit at {manifest["quality"]["gate_acceptance"]:.0%} acceptance of the validation
  images.
"""


def provenance(artifact: Artifact) -> str:
    """Version, time, command, commit and hashes."""
    created = artifact.manifest["created"]
    files = "\n".join(
        f"- `{name}`, {entry['bytes'] / 1e3:,.0f} kB, SHA-256 `{entry['sha256']}`"
        for name, entry in artifact.manifest["files"].items()
    )
    return (
        f"Model **{artifact.name} {artifact.version}**, exported {created['utc']} by `{created['command']}` at commit "
        f"`{created['commit'][:12]}`.\n\n{files}"
    )
