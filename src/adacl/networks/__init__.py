"""The networks: architecture, views, distance, devices."""
