"""VASP, through atomate2's input sets, jobs and documents and custodian's handlers.

Start reading at :class:`sse_flows.codes.vasp.code.Vasp`, which a campaign uses, and
:mod:`sse_flows.codes.vasp.makers`.
"""
