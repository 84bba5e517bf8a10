"""Why an image scores as it does: anomaly maps, and how they are shown."""
