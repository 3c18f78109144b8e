"""DICOM files in tests: a small lesion in a file with everything that must not come out of it, made by pydicom."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, uid
from pydicom.dataset import FileMetaDataset
from pydicom.filewriter import dcmwrite

ROWS, COLUMNS = 72, 96
# What must not come out of a file by any door.
SECRETS = ("Doe^Jane", "MRN-4711", "19571224", "St. Elsewhere")


def lesion() -> NDArray[np.uint8]:
    """(72, 96, 3): brown on skin, with a gradient, in blocks of 8 pixels that JPEG keeps well."""
    rows, columns = np.mgrid[0:ROWS, 0:COLUMNS] // 8
    is_lesion = (rows - 4) ** 2 + (columns - 6) ** 2 < 9
    skin, brown = np.array([220, 180, 160]), np.array([110, 70, 50])
    image = np.where(is_lesion[..., np.newaxis], brown, skin) + (2 * columns)[..., np.newaxis]
    return image.astype(np.uint8)


def dicom_file(syntax: str = uid.ExplicitVRLittleEndian, **values: Any) -> bytes:
    """A Dermoscopic Photography file of `lesion()`; `values` replace its tags, None removes one."""
    tags: dict[str, Any] = {
        "SOPClassUID": uid.DermoscopicPhotographyImageStorage,
        "SOPInstanceUID": "1.2.3.4",
        "PatientName": SECRETS[0],
        "PatientID": SECRETS[1],
        "PatientBirthDate": SECRETS[2],
        "InstitutionName": SECRETS[3],
        "PatientSex": "F",
        "PatientAge": "061Y",
        "StudyDate": "20200101",
        "Rows": ROWS,
        "Columns": COLUMNS,
        "SamplesPerPixel": 3,
        "PhotometricInterpretation": "RGB",
        "PlanarConfiguration": 0,
        "BitsAllocated": 8,
        "BitsStored": 8,
        "HighBit": 7,
        "PixelRepresentation": 0,
        "BurnedInAnnotation": "NO",
        "PixelData": lesion().tobytes(),
    }
    dataset = Dataset()
    for keyword, value in (tags | values).items():
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = uid.UID(syntax)
    return written(dataset)


def written(dataset: Dataset) -> bytes:
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()
