"""The pages that a command writes: reports on images, and the timeline of a video."""
