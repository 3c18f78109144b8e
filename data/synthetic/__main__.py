"""Draw the sample images again (`data.synthetic.samples`).

python -m data.synthetic [--output data/sample]     # rewrites the folder's images and samples.csv
"""

from __future__ import annotations

import argparse
from pathlib import Path

from data.synthetic.samples import SAMPLE_FOLDER, SAMPLES, TABLE, write_samples


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m data.synthetic", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=SAMPLE_FOLDER, help="folder to write")
    arguments = parser.parse_args()
    write_samples(arguments.output)
    print(f"{arguments.output}: {len(SAMPLES)} images and {TABLE}")


if __name__ == "__main__":
    main()
