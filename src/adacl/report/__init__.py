"""Figures and the HTML report."""

from adacl.report.page import write_report

__all__ = ["write_report"]
