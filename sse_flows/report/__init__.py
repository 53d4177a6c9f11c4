"""The report of a campaign and of trained models: one self-contained HTML page each."""

from sse_flows.report.document import CompoundReport, Failure, ReportData
from sse_flows.report.render import render, render_model, write_model_page, write_report

__all__ = [
    "CompoundReport",
    "Failure",
    "ReportData",
    "render",
    "render_model",
    "write_model_page",
    "write_report",
]
