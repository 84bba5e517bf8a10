"""What was measured, how, and the records of it; run from the root of the project."""
