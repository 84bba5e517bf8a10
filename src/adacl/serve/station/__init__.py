"""The service as a station: a log of answers, feedback on them, and an alarm at drift."""
