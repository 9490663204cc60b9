"""Frame pairs: which footage may be learnt from, packed for reading at random, checked to show one scene."""
