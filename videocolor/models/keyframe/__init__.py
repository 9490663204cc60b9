"""Color for keyframes without a hint: a mean, a distribution of chroma, and one choice for each region."""
