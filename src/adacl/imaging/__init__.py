"""Operations on images: form, tiles, blending, smoothing."""
