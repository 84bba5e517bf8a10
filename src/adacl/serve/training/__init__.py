"""Trainings that the service runs: their endpoints, the queue, the record, the process."""
