"""The program that vasp_std, vasp_gam and vasp_ncl start."""

from __future__ import annotations

import sys
from pathlib import Path

from sse_flows.testing.vasp_double.run import main

sys.exit(main(Path.cwd(), *sys.argv[1:2]))
