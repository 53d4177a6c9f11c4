"""A stand-in for VASP, for tests of what runs it: same files in, same files out, false numbers.

Programs ``vasp_std``, ``vasp_gam`` and ``vasp_ncl`` read INCAR, POSCAR, KPOINTS and POTCAR and
write what atomate2, emmet, pymatgen, custodian and ASE read. Forces come from a cheap analytic
model (:mod:`~sse_flows.testing.vasp_double.model`), or from a calculator of ASE. Every file says
that it is no work of VASP, its pseudopotentials are made up, and it takes no others.

:func:`install` writes the programs and the pseudopotentials into a folder; :func:`installed` lets
the running process use them; :func:`is_double` tells its results from real ones. The run obeys
these variables of the environment:

====================================  ==========================================================
``VASP_DOUBLE_FAULT``                 faults on demand, see :mod:`.faults`
``VASP_DOUBLE_FAULT_STATE``           file that remembers which faults have happened
``VASP_DOUBLE_MODEL``                 source of forces, see :mod:`.forcefield`
``VASP_DOUBLE_STEP_SECONDS``          how long an electronic step takes
====================================  ==========================================================
"""

from __future__ import annotations

from sse_flows.testing.vasp_double.installation import QUICK_CUSTODIAN, install, installed
from sse_flows.testing.vasp_double.mark import MARK, is_double

__all__ = ["MARK", "QUICK_CUSTODIAN", "install", "installed", "is_double"]
