"""The paper's experiments on images: one class against the rest, ablations, rivals."""
