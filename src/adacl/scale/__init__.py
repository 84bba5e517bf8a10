"""Many runs at once: resumable grids of them."""
