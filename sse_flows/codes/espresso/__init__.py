"""Quantum ESPRESSO: pw.x for forces and relaxations, ph.x for Born charges.

Start reading at :class:`sse_flows.codes.espresso.code.Espresso`, which a campaign uses, and
:mod:`sse_flows.codes.espresso.makers`.
"""
