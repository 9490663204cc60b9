"""Frame pairs: data sets built from footage, checked to show one scene, and read for training."""
