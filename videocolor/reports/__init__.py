"""Reports, comparison films, and checks of a result."""
