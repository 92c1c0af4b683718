"""Writes the goldens of this directory anew: python tests/importing/golden/regenerate.py"""

import sys
from pathlib import Path

here = Path(__file__).parent
sys.path[:0] = [str(here.parent), str(here.parents[2])]

import examples  # noqa: E402 - found by the path above

for name, file in examples.FILES.items():
    (here / name).mkdir(exist_ok=True)
    for golden, text in examples.texts(examples.example(name), Path(file).name).items():
        (here / name / golden).write_text(text)
