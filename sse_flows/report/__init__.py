"""The report of a campaign: one self-contained HTML page."""

from sse_flows.report.document import CompoundReport, Failure, ReportData
from sse_flows.report.render import render, write_report

__all__ = ["CompoundReport", "Failure", "ReportData", "render", "write_report"]
