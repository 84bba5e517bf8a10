"""Many runs: resumable grids, millions of images, and a model for each of many parts."""
