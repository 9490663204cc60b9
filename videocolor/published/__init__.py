"""Networks of published papers, built from their own descriptions and used through the same interface as ours."""
