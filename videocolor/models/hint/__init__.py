"""The packaged hint network, its runtimes and its export."""
